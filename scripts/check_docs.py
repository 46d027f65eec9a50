"""Checks the documentation against the code: settings, decisions, links. Exit status 1 when something is amiss."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
NOT_OURS = {"var", "node_modules", "build", "dist"}
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def settings_problems(root: Path) -> Iterator[str]:
    """Settings of app/settings.py that docs/settings.md does not name, and named ones that do not exist."""
    tree = ast.parse((root / "app/settings.py").read_text("utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and _is_settings(node)]
    names = {name for node in classes for name in _variables(node)}
    if not names:
        yield "app/settings.py: no settings found"
    described = set(re.findall(r"^\| `([A-Z_]+)`", (root / "docs/settings.md").read_text("utf-8"), re.MULTILINE))
    yield from (f"docs/settings.md: {name} is not described" for name in sorted(names - described))
    yield from (f"docs/settings.md: {name} is not in app/settings.py" for name in sorted(described - names))


def _is_settings(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).endswith("BaseSettings") for base in node.bases)


def _variables(node: ast.ClassDef) -> Iterator[str]:
    """The environment variables of a class of settings: the field's name with our prefix, or its own alias."""
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
            if name != "model_config" and not ast.unparse(statement.annotation).startswith("ClassVar"):
                yield _alias(statement.value) or f"DUKOU_{name.upper()}"


def _alias(value: ast.expr | None) -> str | None:
    keywords = value.keywords if isinstance(value, ast.Call) else []
    aliases = [ast.literal_eval(one.value) for one in keywords if one.arg == "validation_alias"]
    return aliases[0] if aliases else None


def decision_problems(root: Path) -> Iterator[str]:
    """Decisions that their index does not list."""
    folder = root / "docs/decisions"
    index = (folder / "README.md").read_text("utf-8")
    for path in sorted(folder.glob("[0-9]*.md")):
        if f"({path.name})" not in index:
            yield f"docs/decisions/README.md: {path.name} is not listed"


def link_problems(root: Path) -> Iterator[str]:
    """Relative links of Markdown files that lead nowhere."""
    for path in _markdown(root):
        for target in LINK.findall(CODE.sub("", path.read_text("utf-8"))):
            place = unquote(target.split("#")[0])
            if place and not re.match(r"[a-z]+:", place) and not (path.parent / place).exists():
                yield f"{path.relative_to(root)}: {target} leads nowhere"


def _markdown(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*.md")):
        parts = path.relative_to(root).parts
        if not any(part.startswith(".") or part in NOT_OURS for part in parts):
            yield path


def main() -> int:
    """Print every problem; 0 when there is none."""
    problems = [*settings_problems(ROOT), *decision_problems(ROOT), *link_problems(ROOT)]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
