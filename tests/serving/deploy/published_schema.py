"""Kubernetes' own schemas, as a package carries them. Imported by tests."""

import kubernetes_validate


def faults(manifest: dict) -> list[str]:
    """What the newest published schema says against a manifest, unknown fields included."""
    try:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as error:
        return [error.message]
    return []
