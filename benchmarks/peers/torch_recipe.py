"""A whole training by a recipe of ninc's in PyTorch, channels last."""

from __future__ import annotations

import torch
from torch import nn

from .torch import from_ninc

# EMA's rate, as `ninc.averages.EMA` has it.
_FIRST_STEPS = 10.0


class Training:
    """Takes the weights, batches, rates and averages of a `benchmarks.fast.Job`.

    Batches are those that ninc's own training takes, and made by it, so that their cost is the
    same for both.
    """

    def __init__(self, job, threads: int) -> None:
        torch.set_num_threads(threads)
        self._job = job
        self._module = from_ninc(job.network).train().to(memory_format=torch.channels_last)
        self._parameters = dict(self._module.named_parameters())
        for name in job.frozen:
            self._parameters[name].requires_grad_(False)
        own = job.recipe.optimizer(job.network, job.recipe.lr)
        rates, decays = own.vectors(list(self._parameters))
        self._rates = [float(rate) for rate in rates]
        self._optimizer = torch.optim.SGD(
            [
                {"params": [value], "lr": rate, "weight_decay": float(decay)}
                for value, rate, decay in zip(self._parameters.values(), rates, decays)
            ],
            momentum=own.momentum,
            nesterov=own.nesterov,
        )
        self._loss = nn.CrossEntropyLoss(label_smoothing=job.recipe.label_smoothing)
        self._average = job.recipe.average
        self._averages = {name: value.detach().clone() for name, value in self._parameters.items()}
        self._count = 0

    def epoch(self, number: int) -> None:
        for factor, (x, labels) in zip(self._job.factors(number), self._job.batches(number)):
            for group, rate in zip(self._optimizer.param_groups, self._rates):
                group["lr"] = rate * factor
            self._optimizer.zero_grad(set_to_none=True)
            self._loss(self._module(_images(x)), torch.from_numpy(labels)).backward()
            self._optimizer.step()
            self._follow()

    def _follow(self) -> None:
        """Lets the averages follow the weights, those of the first step from where these are."""
        if self._average is None:
            return
        rate = max(1.0 - self._average.decay, _FIRST_STEPS / (_FIRST_STEPS + self._count))
        self._count += 1
        with torch.no_grad():
            for name, value in self._parameters.items():
                self._averages[name].lerp_(value, rate)

    def finish(self) -> None:
        """Gives ninc's network the weights, and batch norms the statistics of averaged ones."""
        if self._average is not None:
            self._take_averages()
        state = self._module.state_dict()
        names = self._job.network.state_dict()
        self._job.network.load_state_dict({name: state[name].numpy() for name in names})

    def _take_averages(self) -> None:
        with torch.no_grad():
            for name, value in self._parameters.items():
                value.copy_(self._averages[name])
            norms = [m for m in self._module.modules() if isinstance(m, nn.BatchNorm2d)]
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # the mean over all batches, of the last epoch as in ninc
            batches = zip(
                range(self._average.norm_batches), self._job.batches(self._job.epochs - 1)
            )
            for _, (x, _) in batches:
                self._module(_images(x))


def _images(x) -> torch.Tensor:
    return torch.from_numpy(x).contiguous(memory_format=torch.channels_last)
