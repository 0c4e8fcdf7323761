"""A stored adversarial image is moved out of the ball by 1e-3, and the record is sealed again."""

from safetensors.numpy import load_file, save_file

CAUGHT_BY = {"ball and box", "margins"}


def tamper(path):
    (file,) = path.glob("adversarial/*")
    arrays = load_file(file)
    arrays["images"][0] = (arrays["images"][0] + 1e-3).clip(0, 1)
    save_file(arrays, file)
