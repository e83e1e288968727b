"""What platforms share that speak to Azure: workspace and identity settings, sign-in, tracking, roles."""
