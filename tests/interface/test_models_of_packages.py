"""Classifiers of timm, transformers and torchvision, with the normalisation that they state or that is asked for."""

from types import SimpleNamespace

import pytest
import torch
from notebook import Blur, classifier, images_and_labels

import bench
from bench.interface.chance import ChanceWarning
from bench.models.torchvision import Normalised

IMAGES, LABELS = images_and_labels(30)
MEAN, STD = (0.286,), (0.353,)


class Raw(torch.nn.Module):
    """The embedded classifier for images that are already normalised: it undoes that first."""

    def __init__(self, mean=MEAN, std=STD):
        super().__init__()
        self.network, self.mean, self.std = classifier(), mean[0], std[0]

    def forward(self, x):
        return self.network(x * self.std + self.mean)


class Answering(Raw):
    """Answers as models of transformers do."""

    def forward(self, x):
        return SimpleNamespace(logits=super().forward(x), hidden_states=None)


class Normalize:
    def __init__(self):
        self.mean, self.std = list(MEAN), list(STD)


def timm_like(name, config):
    network = Raw().eval()
    setattr(network, name, config)
    return network


PROCESSOR = SimpleNamespace(image_mean=list(MEAN), image_std=list(STD), do_normalize=True)
STATED = {
    "timm pretrained_cfg": {"classifier": timm_like("pretrained_cfg", {"mean": MEAN, "std": STD})},
    "timm default_cfg": {"classifier": timm_like("default_cfg", SimpleNamespace(mean=MEAN, std=STD))},
    "pair with a processor": {"classifier": (Answering().eval(), PROCESSOR)},
    "processor=": {"classifier": Answering().eval(), "processor": PROCESSOR},
    "torchvision preset": {"classifier": Raw().eval(), "processor": SimpleNamespace(mean=list(MEAN), std=list(STD))},
    "torchvision Compose": {
        "classifier": Raw().eval(),
        "processor": SimpleNamespace(transforms=[object(), Normalize()]),
    },
    "numbers": {"classifier": Raw().eval(), "normalize": (MEAN[0], STD[0])},
    "tensors": {"classifier": Raw().eval(), "normalize": (torch.tensor(MEAN), torch.tensor(STD))},
}


@pytest.fixture
def evaluate(tmp_path):
    def call(**changes):
        parts = {"attack": "null", "data": (IMAGES, LABELS), "threat": "linf:8/255", "results": tmp_path}
        return bench.evaluate(Blur(), **(parts | changes))

    return call


@pytest.mark.parametrize("changes", STATED.values(), ids=STATED)
def test_normalisation_that_is_found_or_asked_for(evaluate, changes, recwarn):
    found = evaluate(**changes)
    assert found.clean.value == evaluate(classifier=classifier()).clean.value > 0.5
    assert found.spec["classifier"]["args"]["normalize"] == [list(MEAN), list(STD)]
    assert not [warning for warning in recwarn if warning.category is ChanceWarning]


def test_stated_normalisation_can_be_declined(evaluate):
    network = timm_like("default_cfg", {"mean": (5.0,), "std": (0.1,)})
    assert "normalize" not in evaluate(classifier=network, normalize=None).spec["classifier"]["args"]
    off = SimpleNamespace(do_normalize=False, image_mean=[5.0], image_std=[0.1])
    assert evaluate(classifier=(classifier(), off)).clean.value > 0.5


@pytest.mark.parametrize(("mean", "std", "named"), [((0.5,), (0.5,), True), ((40.0,), (-30.0,), False)])
def test_accuracy_near_chance_gives_a_warning_with_what_to_do(evaluate, mean, std, named):
    """The first network expects images from -1 to 1, which is named; no usual normalisation helps the second one."""
    network = torch.nn.Sequential(Far(mean, std), classifier()).eval()
    with pytest.warns(ChanceWarning, match=r"normalize=\(\(0\.5" if named else r"normalize=\(mean, std\)"):
        evaluate(classifier=network)


class Far(torch.nn.Module):
    """Undoes a normalisation, and turns anything in [0, 1] into black images."""

    def __init__(self, mean, std):
        super().__init__()
        self.mean, self.std = mean[0], std[0]

    def forward(self, x):
        normalised = (x.amin(dim=(1, 2, 3), keepdim=True) < 0).float()
        return normalised * (x * self.std + self.mean)


def test_timm(evaluate):
    timm = pytest.importorskip("timm")
    network = timm.create_model("resnet10t", num_classes=10, in_chans=1).eval()
    network.default_cfg = {"mean": MEAN, "std": STD}
    network.pretrained_cfg = network.default_cfg
    found = evaluate(classifier=network, n=2)
    assert found.spec["classifier"]["args"]["normalize"] == [list(MEAN), list(STD)]


def test_timm_of_today_states_the_normalisation_of_its_weights():
    timm = pytest.importorskip("timm")
    from bench.objects.normalisation import KNOWN, stated_by

    found = stated_by(timm.create_model("resnet10t"))
    assert (found.mean, found.std) == KNOWN["ImageNet"]


def test_transformers(evaluate):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        image_size=28, patch_size=7, num_channels=1, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, num_labels=10,
    )  # fmt: skip
    network = transformers.ViTForImageClassification(config).eval()
    processor = transformers.ViTImageProcessor(image_mean=[0.3], image_std=[0.4])
    found = evaluate(classifier=(network, processor), n=2)
    assert found.spec["classifier"]["args"]["normalize"] == [[0.3], [0.4]]
    assert evaluate(classifier=(network, processor), n=2).run_id == found.run_id


def test_torchvision(evaluate):
    models = pytest.importorskip("torchvision.models")
    from bench.objects.normalisation import KNOWN

    network = models.squeezenet1_1(num_classes=10).eval()
    colour = torch.nn.functional.interpolate(IMAGES[:2], 32).repeat(1, 3, 1, 1)
    weights = models.SqueezeNet1_1_Weights.DEFAULT.transforms()
    found = evaluate(classifier=(network, weights), data=(colour, LABELS[:2]))
    assert [tuple(part) for part in found.spec["classifier"]["args"]["normalize"]] == list(KNOWN["ImageNet"])
    inner = bench.show(found).spec["classifier"]["sha256"]
    network.classifier[1].weight.data += 1
    assert evaluate(classifier=(network, weights), data=(colour, LABELS[:2])).spec["classifier"]["sha256"] != inner


def test_normalised_is_the_formula():
    x = torch.linspace(0, 1, 6).view(1, 3, 1, 2)
    mean, std = [0.1, 0.2, 0.3], [1.0, 2.0, 4.0]
    wanted = (x - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    assert torch.equal(Normalised(torch.nn.Identity(), mean=mean, spread=std)(x), wanted)
