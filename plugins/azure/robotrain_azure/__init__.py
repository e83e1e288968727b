"""What platforms on Azure share: settings, sign-in, workspaces, roles, tracking, uploads, outputs."""
