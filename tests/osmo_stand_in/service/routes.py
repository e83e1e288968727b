"""The routes of the service."""

from typing import Any

from osmo_stand_in import config, refusal
from osmo_stand_in.service import Handler, Service, Unprocessable, admission, rows, submission, views

PRIORITIES = ("HIGH", "NORMAL", "LOW")
BODY = ("file", "set_variables", "set_string_variables", "uploaded_templated_spec")
USAGE = ("quota_used", "quota_free", "quota_limit", "total_usage", "total_capacity", "total_free")
Params = dict[str, Any]


def version(service: Service, params: Params, body: Any) -> dict[str, str]:
    major, minor, revision = config.read(service.state)["service"].split(".")
    return {"major": major, "minor": minor, "revision": revision, "hash": ""}


def profile(service: Service, params: Params, body: Any) -> dict[str, Any]:
    there = config.read(service.state)
    named = {"username": there["user"], "email_notification": False, "slack_notification": False}
    return {"profile": {**named, "pool": there["profile_pool"]}, "roles": [], "pools": [], "token": None}


def _told(name: str, pool: dict[str, Any]) -> dict[str, Any]:
    platforms = pool["platforms"].items()
    shown = {kind: {key: value for key, value in one.items() if key != "node"} for kind, one in platforms}
    return {"name": name, **pool, "platforms": shown}


def pools(service: Service, params: Params, body: Any) -> dict[str, Any]:
    there = config.read(service.state)["pools"]
    return {"pools": {name: _told(name, pool) for name, pool in there.items()}}


def quota(service: Service, params: Params, body: Any) -> dict[str, Any]:
    used = dict.fromkeys(USAGE, "0")
    there = config.read(service.state)["pools"]
    sets = [{"pools": [{**_told(name, pool), "resource_usage": used}]} for name, pool in there.items()]
    return {"node_sets": sets, "resource_sum": used}


def resources(service: Service, params: Params, body: Any) -> dict[str, Any]:
    return {"resources": list(admission.list_machines(config.read(service.state)["pools"], params["pools"]))}


def submit(service: Service, params: Params, body: Any, pool: str) -> dict[str, Any]:
    priority = params.get("priority", "NORMAL")
    if priority not in PRIORITIES:
        text = "'HIGH', 'NORMAL' or 'LOW'"
        place = {"type": "enum", "loc": ["query", "priority"], "msg": f"Input should be {text}", "input": priority}
        raise Unprocessable(**place, ctx={"expected": text})
    if not body:
        raise refusal.usage("Need to provide either file contents or workflow ID.")
    for key in body.keys() - BODY:
        raise Unprocessable(
            type="extra_forbidden", loc=["body", key], msg="Extra inputs are not permitted", input=body[key]
        )
    dry = bool(params.get("dry_run"))
    asked = submission.Asked(pool, body["file"], priority, dry=dry, hurried=service.hurried)
    return submission.post(service.state, asked)


def query(service: Service, params: Params, body: Any, name: str) -> dict[str, Any]:
    return views.query(rows.fetch(service.state, name), bool(params.get("verbose")))


def many(service: Service, params: Params, body: Any) -> dict[str, Any]:
    limit, offset = int(params.get("limit", 20)), int(params.get("offset", 0))
    user = config.read(service.state)["user"]
    there = [row for row in rows.every(service.state) if _wanted(row, params, user)]
    if params.get("order") == "DESC":
        there.reverse()
    shown = there[offset : offset + limit]
    return {"workflows": [views.entry(row) for row in shown], "more_entries": len(there) > offset + limit}


def _wanted(row: rows.Row, params: Params, user: str) -> bool:
    named = params.get("name", "") in row["name"]
    return row["submitted_by"] == user and named and row["status"] != "FAILED_SUBMISSION"


def cancel(service: Service, params: Params, body: Any, name: str) -> dict[str, Any]:
    state = service.state
    row = rows.fetch(state, name)
    force, how = bool(params.get("force")), config.read(state)["cancelling"]
    if rows.finished(row) and not force:
        raise refusal.user(f"Workflow {row['name']} is already finished.")
    if how == "refused":
        raise refusal.user(f"User is not allowed to cancel workflow {row['name']}.")
    state.change("cancels", lambda there: [*there, row["name"]], [])
    if (how == "at-once" or force) and not rows.finished(row):
        rows.change(state, row["name"], lambda row: _cancelled(row, params.get("message")))
    return {"name": row["name"]}


def _cancelled(row: rows.Row, message: str | None) -> None:
    row["cancelled_by"] = row["submitted_by"]
    text = f"Task was canceled by user: {row['submitted_by']}." + (f" {message}" if message else "")
    for task in rows.latest(row):
        if not rows.finished(task):
            task.update(status="FAILED_CANCELED", failure_message=text, end_time=rows.now())
    rows.settle(row)


def spec(service: Service, params: Params, body: Any, name: str) -> str:
    return str(service.state.read(f"texts/{rows.fetch(service.state, name)['name']}")["saved"])


def stream(service: Service, params: Params, body: Any, name: str, kind: str) -> dict[str, Any]:
    """Whose lines are to be streamed: the command reads them itself."""
    row = rows.fetch(service.state, name)
    if (task := params.get("task_name")) and task not in [one["name"] for one in rows.latest(row)]:
        raise refusal.missing(f"Task {task} of workflow {name} is not found.")
    return {"workflow": row["name"], "kind": kind}


def credentials(service: Service, params: Params, body: Any) -> dict[str, Any]:
    held = config.read(service.state)["credentials"]
    return {"credentials": [_credential(name, held[name]) for name in sorted(held)]}


def _kind(payload: dict[str, str]) -> str:
    return "DATA" if "endpoint" in payload else "REGISTRY" if "auth" in payload else "GENERIC"


def _credential(name: str, payload: dict[str, str]) -> dict[str, Any]:
    profile = payload.get("endpoint") or payload.get("registry")
    return {"cred_name": name, "cred_type": _kind(payload), "profile": profile}


def workflow_config(service: Service, params: Params, body: Any) -> dict[str, Any]:
    """For administrators: the role `osmo-user` has no `config:Read`."""
    there = config.read(service.state)
    if not there["administrator"]:
        raise refusal.denied()
    names = ("max_num_tasks", "max_retry_per_task", "max_exec_timeout", "max_queue_timeout", "max_log_lines")
    return {name: there["limits"][name] for name in names}


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "api/version", version),
    ("GET", "api/profile/settings", profile),
    ("GET", "api/pool", pools),
    ("GET", "api/pool_quota", quota),
    ("GET", "api/resources", resources),
    ("POST", "api/pool/([^/]+)/workflow", submit),
    ("POST", "api/workflow/([^/]+)/cancel", cancel),
    ("GET", "api/workflow", many),
    ("GET", "api/workflow/([^/]+)/spec", spec),
    ("GET", "api/workflow/([^/]+)/(logs|events)", stream),
    ("GET", "api/workflow/([^/]+)", query),
    ("GET", "api/credentials", credentials),
    ("GET", "api/configs/workflow", workflow_config),
)
