"""What was different until 6.3: there were datasets, and no labels."""

import re
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from osmo_stand_in.service.spec import (
    EXACT,
    AnyWorkflow,
    Filtered,
    TaskGroupSpec,
    TaskInputOutput,
    TaskSpec,
    URLInputOutput,
    VersionedWorkflowSpec,
)

DATASET = re.compile(r"([a-zA-Z0-9_{}-]+/)?[a-zA-Z0-9_{}-]+(:[a-zA-Z0-9_{}-]*)?")


class Dataset(Filtered):
    name: str
    path: str = ""

    @field_validator("name")
    @classmethod
    def is_dataset(cls, name: str) -> str:
        if not DATASET.fullmatch(name):
            raise ValueError(f"Invalid name: {name}")
        return name


class DatasetInputOutput(BaseModel):
    model_config = EXACT
    dataset: Dataset


class Task(TaskSpec):
    inputs: list[TaskInputOutput | DatasetInputOutput | URLInputOutput] = Field(default=[])
    outputs: list[DatasetInputOutput | URLInputOutput] = Field(default=[])


class Group(TaskGroupSpec):
    tasks: list[Task]


class Workflow(AnyWorkflow):
    GROUP: ClassVar[type[TaskGroupSpec]] = Group
    groups: list[Group] = Field(default=[])
    tasks: list[Task] = Field(default=[])


class Versioned(VersionedWorkflowSpec):
    model_config = ConfigDict(extra="forbid", title="VersionedWorkflowSpec")
    workflow: Workflow
