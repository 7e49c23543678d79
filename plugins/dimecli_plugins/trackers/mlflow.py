"""MLflow."""

from __future__ import annotations

import logging
import os
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from dimecli.errors import UserError
from dimecli.fields import show
from dimecli.lazy import optional
from dimecli.plugin import Tracker, Tracking

_LONGEST = 500  # letters of a parameter, which old servers are content with


class MLflow(Tracker):
    """Tells an MLflow server, or writes a database for it into the run's folder (extra `dimecli[mlflow]`).

    The numbers of an epoch go in one request, from which training has to wait for the answer.
    """

    tracking_uri: str | None = Field(
        None,
        min_length=1,
        description="Where MLflow keeps its runs: http://HOST:PORT of a server, or sqlite:////PATH of a database that "
        "several runs share. Without it each run has a database of its own, mlflow.db in its folder.",
    )
    experiment: str = Field("dimecli", min_length=1, description="Experiment of MLflow that the run belongs to.")

    def check(self) -> None:
        """Make sure that MLflow is there, and what it needs for a database.

        Raises:
            UserError: it is not.
        """
        database = self.tracking_uri is None or "sql" in self.tracking_uri
        for module in ("mlflow", *(("sqlalchemy", "alembic") if database else ())):
            optional(module, "--track mlflow", "mlflow")

    def open(self, run: Path, config: Mapping[str, Any], resumed_at: int | None) -> Tracking:
        """A run of MLflow; a resumed run goes on with its own.

        Raises:
            UserError: nothing that keeps runs is at --tracking-uri.
        """
        from mlflow.exceptions import MlflowException

        try:
            return _Run(self._uri(run), self.experiment, run, config)
        except MlflowException as error:
            if self.tracking_uri is None or resumed_at is not None:
                raise
            reason = str(error).partition("\n")[0]
            raise UserError(f"--tracking-uri {self.tracking_uri}: MLflow keeps no runs there: {reason}") from error

    def see(self, run: Path) -> str:
        """MLflow's command, or its server."""
        uri = self._uri(run)
        return uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {shlex.quote(uri)}"

    def _uri(self, run: Path) -> str:
        return self.tracking_uri or f"sqlite:///{run.absolute() / 'mlflow.db'}"


class _Run:
    def __init__(self, uri: str, experiment: str, run: Path, config: Mapping[str, Any]) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # 7 take five minutes where no server is
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table of a new database
        self._client = MlflowClient(uri)
        file = run / "mlflow-run"
        if file.exists():
            self._id = file.read_text(encoding="utf-8")
            self._client.set_terminated(self._id, "RUNNING")
        else:
            found = self._client.get_experiment_by_name(experiment)
            number = found.experiment_id if found else self._client.create_experiment(experiment)
            self._id = self._client.create_run(number, run_name=run.name).info.run_id
            file.write_text(self._id, encoding="utf-8")
            params = [Param(name, show(value)[:_LONGEST]) for name, value in config.items()]
            self._client.log_batch(self._id, params=params)
        self._epochs = self._client.get_run(self._id).data.metrics.get("epoch", 0)

    def record(self, step: int, numbers: Mapping[str, float]) -> None:
        """Logs what MLflow does not have yet."""
        from mlflow.entities import Metric

        if numbers["epoch"] > self._epochs:
            now = round(1000 * time.time())
            self._client.log_batch(self._id, [Metric(name, number, now, step) for name, number in numbers.items()])

    def finish(self, results: Mapping[str, Any] | None) -> None:
        """Closes the run."""
        self._client.set_terminated(self._id, "KILLED" if results is None else "FINISHED")
