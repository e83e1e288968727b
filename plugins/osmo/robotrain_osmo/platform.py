"""The OSMO platform and its hooks. Each method is a function whose module is imported when it is called."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from robotrain.model.platform import Platform, lazy_method
from robotrain.plugins.hookspecs import hook

from robotrain_osmo.capabilities import CAPABILITIES, OPTION_HINTS
from robotrain_osmo.settings import OsmoSettings

if TYPE_CHECKING:
    from robotrain.model.health import HealthCheck


class OsmoPlatform(Platform):
    """Runs a job as a workflow of one task, through the user's own `osmo` command."""

    name = "osmo"
    summary = "NVIDIA OSMO, as a workflow in a pool"
    settings: type = OsmoSettings
    capabilities = CAPABILITIES
    option_hints = OPTION_HINTS
    can_prepare = True

    defaults = lazy_method("robotrain_osmo.spec.resources:get_parameter_defaults")
    derive_defaults = lazy_method("robotrain_osmo.spec.resources:derive_defaults")
    container_plugins = lazy_method("robotrain_osmo.spec.environment:find_container_plugins")
    check = lazy_method("robotrain_osmo.spec.check_job:check_job")
    render = lazy_method("robotrain_osmo.spec.render:render_plan")
    preflight = lazy_method("robotrain_osmo.preflight.run_preflight:run_preflight")
    prepare = lazy_method("robotrain_osmo.submit.upload:prepare_plan")
    find_uploaded = lazy_method("robotrain_osmo.submit.upload:find_uploaded")
    submit = lazy_method("robotrain_osmo.submit.submit:submit_plan")
    find = lazy_method("robotrain_osmo.submit.reconcile:find_workflow")
    describe_reference = lazy_method("robotrain_osmo.observe.outputs:describe_reference")
    status = lazy_method("robotrain_osmo.observe.status:query_status")
    logs = lazy_method("robotrain_osmo.observe.logs:read_logs")
    cancel = lazy_method("robotrain_osmo.observe.cancel:cancel_workflow")
    outputs = lazy_method("robotrain_osmo.observe.outputs:list_outputs")
    download = lazy_method("robotrain_osmo.observe.outputs:download_output")
    register = lazy_method("robotrain_osmo.observe.register:register_model")


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (OsmoPlatform(),)


@hook
def robotrain_health() -> "Iterable[HealthCheck]":
    """Return the health checks of `robotrain doctor`."""
    from robotrain_osmo import doctor

    return doctor.list_health_checks()
