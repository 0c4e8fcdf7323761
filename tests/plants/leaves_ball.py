"""An attack that leaves the ball by 1e-3 on one image."""

CAUGHT_BY = {"ball and box"}


def attack(model, x, y, threat, noise):
    moved = x.clone()
    moved[0] += threat.radius + 1e-3
    return moved
