"""Everything that users may call, found by walking through ninc's modules."""

import inspect

import ninc
from ninc import augment, averages, data, distributed, models, nn, preprocess, schedules
from ninc import functional as F
from ninc.training.optim import Optimizer

MODULES = {
    "ninc": ninc, "functional": F, "nn": nn, "models": models, "schedules": schedules,
    "augment": augment, "averages": averages, "data": data, "preprocess": preprocess,
    "distributed": distributed,
}  # fmt: skip

# Objects that ninc hands out: users read them, and never make one themselves.
MADE_BY_NINC = {"Evaluation", "LoadedWeights", "Node", "Nodes", "Plan", "Value"}

# These are parts of ninc that others of its parts call; their constructors alone are for users.
CONSTRUCTOR_ALONE = {"PictureFiles", "Whitening", "Layer"}


def public_names():
    """Name -> what it is: "functional.relu", "SGD", "Network.predict", "Network.classes =".

    Left out is what takes no argument, and what Python's own protocols say ([], iteration).
    """
    found = {}
    for module_name, module in MODULES.items():
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) and not issubclass(value, BaseException):
                another = found.get(name, value) is not value
                found |= _of_class(f"{module_name}.{name}" if another else name, value)
            elif inspect.isfunction(value):
                prefix = "" if module is ninc else f"{module_name}."
                found[prefix + name] = value
    return {name: value for name, value in found.items() if " =" in name or arguments(value)}


def _of_class(name, value):
    found = {} if name in MADE_BY_NINC or name == "Network" else {name: value}
    if name in CONSTRUCTOR_ALONE:
        return found
    # Networks and optimisers are of several classes for ninc's own sake, and are one for users.
    several = value is ninc.Network or issubclass(value, Optimizer)
    parts = reversed(value.__mro__[:-1]) if several else [value]
    members = {key: member for part in parts for key, member in vars(part).items()}
    for key, member in members.items():
        if isinstance(member, property) and member.fset is not None:
            found[f"{name}.{key} ="] = member
        elif key == "__call__" or not key.startswith("_"):
            if isinstance(member, classmethod):
                found[f"{name}.{key}"] = getattr(value, key)
            elif inspect.isfunction(member):
                found[f"{name}.{key}"] = member
    return found


def arguments(function):
    """The names of a function's arguments beside self."""
    return [name for name in inspect.signature(function).parameters if name != "self"]
