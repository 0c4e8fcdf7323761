"""Images and labels in every form: arrays, torch Datasets and DataLoaders, splits of Hugging Face `datasets`, names."""

import numpy as np
import pytest
import torch
from notebook import images_and_labels
from PIL import Image
from refused import refused
from torch.utils.data import DataLoader, Subset, TensorDataset

from bench.data.fashion_mnist import fashion_mnist
from bench.objects.data import find_data

IMAGES, LABELS = images_and_labels(30)
BYTES = (IMAGES * 255).round().byte().numpy()


class Pictures(torch.utils.data.Dataset):
    """Pictures and class numbers, as torchvision gives them without a transform."""

    classes = tuple("abcdefghij")

    def __len__(self):
        return len(LABELS)

    def __getitem__(self, place):
        return Image.fromarray(BYTES[place, 0]), int(LABELS[place])


class Split:
    """A split as Hugging Face gives it."""

    column_names = ("picture", "kind", "text")
    builder_name = "clothes"

    def __init__(self, image="Image", label="ClassLabel"):
        label_kind = type(label, (), {"names": list("abcdefghij")})
        self.features = {"picture": type(image, (), {})(), "kind": label_kind(), "text": type("Value", (), {})()}

    def __len__(self):
        return len(LABELS)

    def __iter__(self):
        return ({"picture": Image.fromarray(BYTES[k, 0]), "kind": int(LABELS[k]), "text": ""} for k in range(len(self)))


FORMS = {
    "tensors": (IMAGES, LABELS),
    "list of labels": [IMAGES, LABELS.tolist()],
    "arrays": (IMAGES.numpy(), LABELS.numpy()),
    "float64": (IMAGES.double(), LABELS.int()),
    "gradients": (IMAGES.clone().requires_grad_(), LABELS),
    "mapping": {"images": IMAGES, "labels": LABELS},
    "dataset": TensorDataset(IMAGES, LABELS),
    "subset": Subset(TensorDataset(torch.cat([IMAGES, IMAGES]), torch.cat([LABELS, LABELS])), range(30)),
    "loader": DataLoader(TensorDataset(IMAGES, LABELS), batch_size=7),
    "loader of mappings": DataLoader(
        [{"pixel_values": image, "labels": label} for image, label in zip(IMAGES, LABELS, strict=True)], batch_size=7
    ),
    "pictures": Pictures(),
    "split": Split(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_gives_the_same_images_labels_and_hash(form):
    found, wanted = find_data(form).load()(), find_data((IMAGES, LABELS)).load()()
    assert np.array_equal(found.floats(slice(None)), wanted.floats(slice(None)))
    assert found.labels.tolist() == wanted.labels.tolist()
    assert found.sha256 == wanted.sha256
    assert found.name.endswith(wanted.sha256[:6])


def test_order_is_balanced_and_ids_are_places():
    turned = torch.tensor([2] * 5 + [0] * 3 + [1] * 2)
    found = find_data((torch.rand(10, 3, 4, 4, generator=torch.Generator()), turned)).load()()
    assert found.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 2, 2, 2]
    assert found.ids.tolist() == [5, 8, 0, 6, 9, 1, 7, 2, 3, 4]


def test_names_of_classes_come_along():
    assert find_data(Pictures()).load()().classes == Pictures.classes
    assert find_data(Split()).load()().classes == Pictures.classes
    assert find_data((IMAGES, LABELS)).load()().classes == tuple("0123456789")


def test_splits_without_images_or_labels_and_several_splits():
    for split in (Split(image="Value"), Split(label="Value")):
        with refused("column-missing"):
            find_data(split)
    with refused("data-of-splits"):
        find_data({"train": Split(), "test": Split()})


def test_data_that_would_not_fit_into_memory_is_refused_after_one_image():
    class Large(torch.utils.data.Dataset):
        def __len__(self):
            return 50_000

        def __getitem__(self, place):
            assert place == 0
            return torch.zeros(3, 224, 224), 0

    with refused("data-too-large"):
        find_data(Large())


def test_a_data_set_of_ours_is_taken_as_it_is():
    ours = fashion_mnist()
    assert find_data(ours).load()() is ours


def test_hugging_face_datasets():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list("abcdefghij"))})
    rows = {"image": [Image.fromarray(part[0]) for part in BYTES], "label": LABELS.tolist()}
    found = find_data(datasets.Dataset.from_dict(rows, features=features)).load()()
    assert np.array_equal(found.floats(slice(None)), find_data((IMAGES, LABELS)).load()().floats(slice(None)))
    assert found.classes == Pictures.classes
    with refused("data-of-splits"):
        find_data(datasets.DatasetDict(test=datasets.Dataset.from_dict(rows, features=features)))
