"""A row of the attack tables in docs/security.md: one attack, and what came of it."""

from dataclasses import dataclass, field
from itertools import pairwise


@dataclass
class Row:
    """One attack, and what came of it."""

    attack: str
    by: str
    verdict: str = ""
    outcome: str = ""
    memory_mb: list[float] = field(default_factory=list)
    """Of who was attacked, the broker or the vehicle's agent: before, at most, after."""
    cpu_percent: float = 0.0
    """The same one's, of one core."""
    seconds: float = 0.0
    results: int = 0
    worst_error_ms: float = 0.0
    worst_bound_ms: float = 0.0
    states: dict[str, int] = field(default_factory=dict)
    """Of the honest vehicles' results."""

    def refused(self, outcome):
        self.verdict, self.outcome = "refused", outcome

    def bounded(self, outcome):
        self.verdict, self.outcome = "bounded", outcome

    def take(self, samples):
        """The figures of what was sampled; CPU time begins again with each start of the process."""
        memory = [mb for _, mb, _ in samples]
        used = sum(max(now - then, 0) for (*_, then), (*_, now) in pairwise(samples))
        self.memory_mb = [memory[0], max(memory), memory[-1]]
        self.cpu_percent = 100 * used / 1e9 / (samples[-1][0] - samples[0][0])

    def check(self, checked):
        """All honest results meanwhile, each with the truth: none may be wrong."""
        assert checked, "no result meanwhile"
        assert [(one.result, one.true_offset_ms) for one in checked if not one.right] == []
        self.results = len(checked)
        self.worst_error_ms = max(abs(one.result.offset_ms - one.true_offset_ms) for one in checked)
        self.worst_bound_ms = max(one.result.max_error_ms for one in checked)
        for one in checked:
            self.states[one.result.state] = self.states.get(one.result.state, 0) + 1
