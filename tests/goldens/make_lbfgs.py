"""Make lbfgs.npz: the iterates of PyTorch's L-BFGS on small problems.

    python tests/goldens/make_lbfgs.py

The stored file names the versions that made it. Every problem is in float32; each case holds the
21 iterates of 20 steps, whose first is the start. Nothing of nst_jax is imported: the problems are
written out here in PyTorch and once more in tests/test_lbfgs.py in JAX.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

NUM_STEPS = 20
HISTORIES = (100, 5)  # more pairs than steps, and so few that old ones are overwritten


def quadratic(x: torch.Tensor) -> torch.Tensor:
    """½ Σ c t² − Σ x, t being x reflected; curvatures c from 1 to 300, each axis its own."""
    curvatures = 300 ** torch.linspace(0, 1, len(x))
    reflected = x - 2 / len(x) * x.sum()
    return 0.5 * (curvatures * reflected**2).sum() - x.sum()


def rosenbrock(x: torch.Tensor) -> torch.Tensor:
    """Σ 5 (x_{i+1} − x_i²)² + (1 − x_i)²: curved valleys."""
    return (5 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def hills(x: torch.Tensor) -> torch.Tensor:
    """Σ a cos 2x + 0.2 x²: it curves downwards near the start, where a pair is dropped."""
    heights = torch.linspace(0.2, 1.2, len(x))
    return (heights * torch.cos(2 * x)).sum() + 0.2 * (x**2).sum()


PROBLEMS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], np.ndarray]] = {
    "quadratic": (quadratic, np.linspace(-1, 1, 24, dtype=np.float32)),
    "rosenbrock": (rosenbrock, np.linspace(0.2, 1.4, 12, dtype=np.float32)),
    "hills": (hills, np.linspace(0.05, 0.6, 16, dtype=np.float32)),
}


def iterates(
    objective: Callable[[torch.Tensor], torch.Tensor],
    start: np.ndarray,
    *,
    history: int,
    num_steps: int = NUM_STEPS,
) -> np.ndarray:
    """The start and where each of num_steps steps of PyTorch's L-BFGS with a fixed step leads."""
    x = torch.from_numpy(start.copy()).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [x],
        lr=1,
        history_size=history,
        max_iter=num_steps,
        max_eval=10 * num_steps,
        tolerance_grad=-1,
        tolerance_change=-1,
    )
    visited = []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        visited.append(x.detach().numpy().copy())
        loss = objective(x)
        loss.backward()
        return loss

    optimizer.step(closure)
    return np.stack([*visited, x.detach().numpy()])


def main() -> None:
    cases: dict[str, Any] = {
        f"{name}_{history}": iterates(objective, start, history=history)
        for name, (objective, start) in PROBLEMS.items()
        for history in HISTORIES
    }
    versions = np.array(f"torch {torch.__version__}, numpy {np.__version__}")
    np.savez_compressed(Path(__file__).with_name("lbfgs.npz"), versions=versions, **cases)


if __name__ == "__main__":
    main()
