"""One agent, continued: its work with others, what came of it, and its traces."""

from __future__ import annotations

from builders import links
from builders.promql import AGENT as _AGENT
from builders.promql import SERVICE as _SERVICE
from builders.promql import average, in_range, per_second, quantile, share
from builders.spec import Panel, Query, Row

_OF_AGENT = links.traces(links.of_agent())

WORK = Row(
    70,
    "Decisions and work together",
    (
        Panel(
            71,
            "Decisions",
            "Decisions a second, by what was decided.",
            "reqps",
            (
                Query(
                    per_second("agent_decisions_total", "agent, decision", _AGENT),
                    "{{agent}} {{decision}}",
                ),
            ),
            no_value="no decisions recorded",
            links=(_OF_AGENT,),
        ),
        Panel(
            72,
            "Confidence of decisions",
            "Mean confidence, and the one that only a tenth of the decisions fall below.",
            "percentunit",
            (
                Query(average("agent_decision_confidence", "agent", _AGENT), "{{agent}} mean"),
                Query(quantile("agent_decision_confidence", "agent", _AGENT, 0.1), "{{agent}} p10"),
            ),
            no_value="no decisions recorded",
        ),
        Panel(
            73,
            "Messages between agents",
            "Messages a second, by sender and receiver.",
            "reqps",
            (
                Query(
                    per_second("agent_messages_total", "from_agent, to_agent", _SERVICE),
                    "{{from_agent}} to {{to_agent}}",
                ),
            ),
            no_value="no messages recorded",
        ),
        Panel(
            74,
            "Collaborations by outcome",
            "Workflows of several agents that ended, a second.",
            "reqps",
            (
                Query(
                    per_second("agent_collaborations_total", "workflow_type, outcome", _SERVICE),
                    "{{workflow_type}} {{outcome}}",
                ),
            ),
            no_value="no collaborations recorded",
        ),
        Panel(
            75,
            "Conflicts by resolution",
            "Conflicts between agents a second, by kind and how they were resolved.",
            "reqps",
            (
                Query(
                    per_second("agent_conflicts_total", "conflict_type, resolution", _SERVICE),
                    "{{conflict_type}} {{resolution}}",
                ),
            ),
            no_value="no conflicts",
        ),
        Panel(
            76,
            "Steps of a turn (95th percentile)",
            "Nodes, tools and agents that a turn passes.",
            "short",
            (Query(quantile("agent_turn_steps", "entry_agent", _SERVICE), "{{entry_agent}}"),),
        ),
    ),
)

FEEDBACK = Row(
    80,
    "What came of it",
    (
        Panel(
            81,
            "Outcomes wished for",
            "Share of the sessions with a business outcome whose outcome was the wished one.",
            "percentunit",
            (
                Query(
                    share("agent_outcomes_total", "service_name", _SERVICE, 'success="true"'),
                    "{{service_name}}",
                ),
            ),
            worse="below",
            no_value="no outcomes recorded",
        ),
        Panel(
            82,
            "Feedback",
            "Feedback in the time shown, by kind and value.",
            "short",
            (Query(in_range("agent_feedback_total", "kind, value", _SERVICE)),),
            kind="table",
            no_value="no feedback",
            renamed_columns=(("kind", "Kind"), ("value", "Feedback"), ("Value", "Given")),
        ),
        Panel(
            83,
            "Prompts in use",
            "Uses in the time shown, by prompt, version and variant of an experiment.",
            "short",
            (Query(in_range("agent_prompt_uses_total", "prompt, version, variant", _SERVICE)),),
            kind="table",
            no_value="no managed prompts",
            renamed_columns=(
                ("prompt", "Prompt"),
                ("version", "Version"),
                ("variant", "Variant"),
                ("Value", "Uses"),
            ),
        ),
    ),
)

_IN_SCOPE = 'resource.service.name=~"${service:regex}" && span.gen_ai.agent.name=~"${agent:regex}"'

TRACES = Row(
    90,
    "Traces of this agent",
    (
        Panel(
            91,
            "Failed runs",
            "The newest traces in which the agent failed. Click one to read it.",
            "short",
            (Query(f"{{ {_IN_SCOPE} && status=error }}"),),
            kind="table",
            source="tempo",
            width=12,
            no_value="none failed",
        ),
        Panel(
            92,
            "Slow runs",
            "Traces in which the agent ran for 5 seconds or more. Click one to read it.",
            "short",
            (Query(f"{{ {_IN_SCOPE} && duration >= 5s }}"),),
            kind="table",
            source="tempo",
            width=12,
            no_value="none was slow",
        ),
    ),
)
