"""Every state has a hash: the one it always had for plain tensors, another for another state, the same in another process."""

import hashlib
import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from bench.models.fingerprint import fingerprint

pytestmark = pytest.mark.filterwarnings("ignore")


class Holder(nn.Module):
    """One plain weight, and whatever else it is given."""

    def __init__(self, buffer=None, extra=None):
        super().__init__()
        self.register_buffer("weight", torch.arange(6.0).view(2, 3))
        self.register_buffer("other", buffer)
        self.extra = extra

    def get_extra_state(self):
        return self.extra

    def set_extra_state(self, state):
        self.extra = state


def by_definition(network):
    """The hash of names, types, shapes and bytes in the order of names, as NumPy writes them."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(np.ascontiguousarray(tensor.detach().numpy()).tobytes())
    return digest.hexdigest()


PLAIN = {
    "float32": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
    "float64": lambda: nn.Linear(3, 2).double(),
    "float16": lambda: nn.Linear(3, 2).half(),
    "complex": lambda: nn.ParameterList([torch.arange(3.0) + 1j]),
    "bool": lambda: nn.ParameterList([nn.Parameter(torch.tensor([True, False]), requires_grad=False)]),
    "channels last": lambda: nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last),
    "no element": lambda: nn.Linear(3, 0, bias=False),
    "strided": lambda: nn.ParameterList([torch.arange(12.0).view(3, 4)[:, ::2].t()]),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_tensors_keep_the_hash_they_always_had(name):
    network = PLAIN[name]()
    assert fingerprint(network) == by_definition(network)


def test_the_hash_of_known_bytes():
    network = nn.Linear(2, 1, bias=False)
    network.weight = nn.Parameter(torch.tensor([[1.0, -2.0]]))
    content = b"weighttorch.float32(1, 2)" + bytes.fromhex("0000803f") + bytes.fromhex("000000c0")
    assert fingerprint(network) == hashlib.sha256(content).hexdigest()


def per_channel(scale):
    return torch.quantize_per_channel(
        torch.full((2, 3), 8.0), torch.tensor([scale, 0.1]), torch.tensor([0, 0]), 0, torch.qint8
    )


BUFFERS = {
    "bfloat16": lambda a: torch.full((3,), a, dtype=torch.bfloat16),
    "float8 e4m3": lambda a: torch.full((3,), a).to(torch.float8_e4m3fn),
    "float8 e5m2": lambda a: torch.full((3,), a).to(torch.float8_e5m2),
    "bfloat16 number": lambda a: torch.tensor(a, dtype=torch.bfloat16),
    "complex": lambda a: torch.full((3,), a + 1j),
    "conjugate view": lambda a: torch.full((3,), a + 1j).conj(),
    "sparse": lambda a: (a * torch.eye(3)).to_sparse(),
    "sparse rows": lambda a: (a * torch.eye(3)).to_sparse_csr(),
    "sparse columns": lambda a: (a * torch.eye(3)).to_sparse_csc(),
    "quantised": lambda a: torch.quantize_per_tensor(torch.full((3,), 8.0), a, 0, torch.qint8),
    "quantised by channels": per_channel,
    "nested": lambda a: torch.nested.nested_tensor([torch.zeros(2), torch.full((3,), a)], layout=torch.jagged),
}
EXTRAS = {
    "dict with a tensor": lambda a: {"scale": torch.full((1,), a), "version": 2},
    "nested lists": lambda a: [1, ("two", [torch.tensor(a, dtype=torch.bfloat16), None])],
    "bytes": lambda a: io.BytesIO(bytes([int(a)])),
    "array": lambda a: {"scale": np.full(2, a)},
    "number": lambda a: a,
    "set of words": lambda a: {"one", "two", str(a)},
    "an object of its own": lambda a: Scale(a),
}


class Scale:
    def __init__(self, value):
        self.value = torch.tensor(value)


@pytest.mark.parametrize(
    "holder",
    [pytest.param(lambda a, f=f: Holder(buffer=f(a)), id=name) for name, f in BUFFERS.items()]
    + [pytest.param(lambda a, f=f: Holder(extra=f(a)), id=name) for name, f in EXTRAS.items()],
)
def test_a_state_of_any_kind_is_told_from_another(holder):
    assert fingerprint(holder(2.0)) == fingerprint(holder(2.0))
    assert fingerprint(holder(2.0)) != fingerprint(holder(4.0))


QUANTISED = """
import torch, warnings
warnings.simplefilter("ignore")
from torch import nn
from bench.models.fingerprint import fingerprint
def quantised(part, seed):
    torch.default_generator.manual_seed(seed)
    return torch.ao.quantization.quantize_dynamic(nn.Sequential(part(4, 4)), {nn.Linear, nn.LSTM}, dtype=torch.qint8)
def hashes():
    return [fingerprint(quantised(part, seed)) for part in (nn.Linear, nn.LSTM) for seed in (0, 1)]
"""


def test_packed_weights_have_a_hash_that_no_address_is_in():
    here = {}
    exec(QUANTISED, here)
    found = here["hashes"]()
    assert len(set(found)) == 4
    done = subprocess.run(
        [sys.executable, "-c", f"{QUANTISED}\nprint(*hashes())"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == found


def test_what_is_no_network_has_none():
    assert fingerprint(object()) is None
