"""A run of stages as a durable workflow of DBOS: what is done is not done again, in whatever process it goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from app.settings import Settings
from app.workflows import config_of

log = logging.getLogger(__name__)

Report = dict[str, Any]
GIVEN_UP = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


def durable(
    settings: Settings,
    name: str,
    version: str,
    run: str,
    stages: Sequence[str],
    stage: Callable[[str], Report],
    finish: Callable[[Report], None],
) -> Report:
    """Run the stages in their order under the name `run`, then `finish` with what all of them reported.

    Only one process at a time may run workflows of this `name`: it goes on with what the last one left. Raises what a
    stage raises; the same run begins anew at the stage that failed.
    """
    from dbos import DBOS, SetWorkflowID

    def work(asked: str, stages: list[str]) -> Report:
        if asked != run:  # of a run that was given up: the launch brings back whatever was left
            return {}
        report: Report = {one: DBOS.run_step({"name": one}, stage, one) for one in stages}
        DBOS.run_step({"name": "finish"}, finish, report)
        return report

    DBOS(config=config_of(settings, name, version))
    try:
        workflow = DBOS.workflow(name=name)(work)
        DBOS.launch()
        workflow_id = f"{name}/{version}/{run}"
        present = DBOS.get_workflow_status(workflow_id)
        if present is not None and present.status in GIVEN_UP:
            DBOS.delete_workflow(workflow_id)
            present = None
        if present is not None:
            log.info("%s goes on where it stopped", run)
            result: Report = DBOS.retrieve_workflow(workflow_id, existing_workflow=False).get_result()
            return result
        with SetWorkflowID(workflow_id):
            return DBOS.start_workflow(workflow, run, list(stages)).get_result()
    finally:
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=0)
