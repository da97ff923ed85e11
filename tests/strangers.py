"""Plug-ins of strangers, installed as pip would."""

from __future__ import annotations

from pathlib import Path


def install(folder: Path, package: str, module: str, plugin: str | None = None) -> None:
    """Install a package of one module, and of one plug-in that has its name unless told otherwise.

    Args:
        folder: is or will be on the path.
        package: its name, and that of its module.
        module: the text of the module.
        plugin: what the plug-in is called.
    """
    (folder / f"{package}.py").write_text(module)
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir(exist_ok=True)
    about = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
    (metadata / "METADATA").write_text(about)
    (metadata / "entry_points.txt").write_text(f"[schedplan]\n{plugin or package} = {package}\n")
