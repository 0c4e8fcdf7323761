"""Every attack of the package torchattacks under one interface: `torchattacks:PGD`, `torchattacks:CW`, and so on."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from torch import Tensor

from attacks.wrapped import KeyedRows, global_seed, seed_of
from bench.ball import project
from bench.defended import DefendedClassifier
from bench.errors import UserError
from bench.noise import Noise
from bench.protocols import Attack, Images
from bench.threat import NORMS, ThreatModel

_SPELLING = {"linf": "Linf", "l2": "L2", "l1": "L1"}
_RADIUS = ("eps", "max_epsilon")
_FILLED = (*_RADIUS, "model", "norm", "seed", "n_classes", "verbose")
"""Arguments of the constructors that follow from the run: threat, seed and data set."""


def attack(name: str) -> Attack:
    """The attack of this class; its keyword-only parameters and defaults are those of the class's constructor.

    Radius and norm come from the threat, the seed from the run, and the number of classes from the model. Classes without
    a radius (CW, DeepFool) search for the smallest perturbation that breaks an image; a longer one is shortened to the
    radius.

    References:
        Torchattacks: A PyTorch Repository for Adversarial Attacks (Kim, 2020)
        https://arxiv.org/abs/2010.01950

    Arguments:
        name: A class of torchattacks, such as `PGD`.

    Raises:
        UserError: torchattacks is not installed, or has no attack of this name.
    """
    kind = _classes().get(name)
    if kind is None:
        raise UserError("torchattacks-unknown", name=name, hint=_hint(name))

    def run(
        model: DefendedClassifier, x: Images, y: Tensor, threat: ThreatModel, noise: Noise, **arguments: Any
    ) -> Images:
        _check_norm(name, kind, threat)
        module = KeyedRows(model, noise, x)
        with global_seed(seed_of(noise)):
            found = _build(name, kind, module, x, threat, noise, arguments)(x.float().clone(), y)
        model.tally.level(noise.ids.tolist())
        return project(module.settled(found), x, threat)

    described: Any = run
    described.__name__ = described.__qualname__ = name
    described.__doc__ = kind.__doc__
    described.__signature__ = _signature(run, kind)
    return described


def _classes() -> dict[str, type]:
    """The attacks by name, without wrappers of other attacks, which a command line cannot build."""
    try:
        import torchattacks
    except ImportError as error:
        raise UserError("torchattacks-missing", error=error) from error
    names = [name for name in torchattacks.__all__ if name not in torchattacks.__wrapper__]
    return {name: getattr(torchattacks, name) for name in names}


def _hint(name: str) -> str:
    names = {other.lower(): other for other in _classes()}
    close = [names[low] for low in difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)]
    return f"did you mean {' or '.join(close)}?" if close else f"the names are {', '.join(names.values())}"


def _check_norm(name: str, kind: type, threat: ThreatModel) -> None:
    """Refuses a threat whose norm is not among those in the docstring of the class."""
    measure = re.search(r"Distance Measure\s*:\s*(.*)", kind.__doc__ or "")
    norms = re.findall(r"l(?:inf|[012])", measure[1].lower()) if measure else list(NORMS)
    if "norm" in inspect.signature(kind).parameters:
        norms = [norm for norm in norms if norm != "l1"]  # documented for FAB, where it ends in an error (3.5.1)
    if threat.norm in norms:
        return
    usable = [norm for norm in norms if norm in NORMS]
    advice = f"write --threat {usable[0]}:EPS or choose another attack" if usable else "choose another attack"
    raise UserError("torchattacks-norm", norms=" or ".join(norms), name=name, threat=threat, advice=advice)


def _build(
    name: str,
    kind: type,
    module: KeyedRows,
    x: Images,
    threat: ThreatModel,
    noise: Noise,
    arguments: dict[str, Any],
) -> Callable[[Images, Tensor], Images]:
    takes = inspect.signature(kind).parameters
    filled: dict[str, Any] = {"norm": _SPELLING[threat.norm], "seed": seed_of(noise)}
    filled |= dict.fromkeys(_RADIUS, threat.radius)
    if "n_classes" in takes:
        filled["n_classes"] = module(x[:1]).shape[1]
    given = {key: value for key, value in filled.items() if key in takes} | arguments
    try:
        with redirect_stdout(StringIO()):  # it prints that the model has no parameters to read a device from
            built = kind(module, **given)
    except (TypeError, ValueError, AssertionError) as error:
        raise UserError("torchattacks-arguments", name=name, error=error) from error
    built.set_device(x.device)
    return built


def _signature(run: Callable[..., Images], kind: type) -> inspect.Signature:
    ours = [p for p in inspect.signature(run).parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    theirs = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=_annotation(parameter, kind))
        for name, parameter in inspect.signature(kind).parameters.items()
        if name not in _FILLED
    ]
    return inspect.Signature([*ours, *theirs])


def _annotation(parameter: inspect.Parameter, kind: type) -> Any:
    """The type of the default; a whole number accepts fractions unless it is documented as an integer (`c=1` of CW)."""
    whole = re.search(rf"^\s*{parameter.name} \(int\)", kind.__doc__ or "", re.MULTILINE)
    return int | float if type(parameter.default) is int and not whole else type(parameter.default)
