"""The way to sign in to Azure, as messages suggest it."""

import shutil

from robotrain.errors import Suggestion
from robotrain_azure.credential import LOGIN_COMMAND

CLI_INSTALL_URL = "https://learn.microsoft.com/cli/azure/install-azure-cli"


def suggest_login(remark: str = "") -> Suggestion:
    """Return the command that signs in to Azure; where it is not installed, with the page that explains it.

    :param remark: what to do then.
    """
    missing = "" if shutil.which("az") else f"the Azure CLI is not on PATH: {CLI_INSTALL_URL}"
    return Suggestion(LOGIN_COMMAND, "; ".join(filter(None, (remark, missing))))
