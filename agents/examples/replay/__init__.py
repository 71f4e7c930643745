"""A fleet that plays recorded conversations again: real traffic to try rollouts on.

    user -> agent           what the customer says; the answer is what the agent says
         -> user_device     tools that the customer operates, where the recording has them
    agent -> tools          the agent's back end, with its recorded errors

The version of the role `agent` settles which recording of a task is played, so two recorded
versions of one agent make a stable and a canary. Messages, tool errors, tokens and the result are
those of the recording; see `traces/README.md`. Fleet files: `configs/replay-retail.yaml` and
`configs/replay-airline.yaml`.
"""

from rolewise.agents.examples.replay.players import (
    RecordedAgent,
    RecordedFailure,
    RecordedTools,
    RecordedUser,
)
from rolewise.agents.examples.replay.recording import Line, Recording, Recordings, load_recordings
from rolewise.agents.examples.replay.tasks import (
    airline_tasks,
    airline_trial_tasks,
    recorded_tasks,
    retail_tasks,
    telecom_tasks,
)

__all__ = [
    "Line",
    "RecordedAgent",
    "RecordedFailure",
    "RecordedTools",
    "RecordedUser",
    "Recording",
    "Recordings",
    "airline_tasks",
    "airline_trial_tasks",
    "load_recordings",
    "recorded_tasks",
    "retail_tasks",
    "telecom_tasks",
]
