"""The agents of the retail chain and the workflow that they form."""

from retail_simulation.agents.graph import Workflow, WorkflowResult

__all__ = ["Workflow", "WorkflowResult"]
