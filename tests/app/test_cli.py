import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import main
from tests.app.conftest import NEED, OFFER, OTHERS, SECRET
from tests.app.test_files import BAD, written

KEYS = ["offer", "need", "rank_for_need", "rank_for_offer", "probability", "parts", "evidence", "direction"]


@pytest.fixture
def runner(tmp_path: Path) -> CliRunner:
    return CliRunner(env={"DUKOU_HOME": str(tmp_path / "home"), "DUKOU_MODEL": "hashing", "DUKOU_SECRET": SECRET})


def lines(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def test_match_writes_pairings_and_what_was_dropped(runner: CliRunner, tmp_path: Path) -> None:
    barred = NEED | {"reference": "n4", "excluded_countries": ["CN"]}
    file = lines(tmp_path / "in.jsonl", [OFFER, NEED, *OTHERS, NEED | {"reference": "n3", "country": "CN"}, barred])
    output, dropped = tmp_path / "out.jsonl", tmp_path / "dropped.jsonl"
    options = ["--output", str(output), "--dropped", str(dropped), "--min-probability", "0"]
    result = runner.invoke(main, ["match", str(file), *options])
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    pairings = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert all(list(pairing) == KEYS for pairing in pairings)
    first = {(one["offer"], one["need"]): one["rank_for_need"] for one in pairings}
    assert first["o1", "n1"] == 1
    reasons = {
        (one["offer"], one["need"]): one["reason"] for one in map(json.loads, dropped.read_text("utf-8").splitlines())
    }
    assert reasons["o1", "n4"] == "the need excludes CN"
    assert not any(need == "n3" for _, need in [*reasons, *first])  # domestic: never looked at, only counted
    assert "pairs in a direction not asked for" in result.stderr


def test_match_reports_bad_lines_and_goes_on(runner: CliRunner, tmp_path: Path) -> None:
    file = written(tmp_path / "in.jsonl")
    result = runner.invoke(main, ["match", str(file), "--rank-all"])
    assert result.exit_code == 1
    assert all(set(json.loads(line)) == set(KEYS) for line in result.stdout.splitlines())
    assert f"{file}:6: line: is not UTF-8" in result.stderr
    assert f"{file}:10: side: " in result.stderr
    assert result.stderr.count(f"{file}:") == len(BAD) + 1


@pytest.mark.parametrize("content", ["", "nonsense\n", json.dumps(OFFER) + "\n"])
def test_match_without_anything_to_pair_ends_with_2(runner: CliRunner, tmp_path: Path, content: str) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text(content, "utf-8")
    assert runner.invoke(main, ["match", str(file)]).exit_code == 2


def test_foreseen_errors_are_one_line_and_2(runner: CliRunner, tmp_path: Path) -> None:
    file = lines(tmp_path / "in.jsonl", [OFFER, NEED])
    for arguments in (
        ["match", str(tmp_path / "none")],
        ["match", str(file), "--output", str(tmp_path / "no" / "folder")],
        ["prepare", "--model", "/dev/null"],
        ["import", str(tmp_path / "none")],
    ):
        result = runner.invoke(main, arguments)
        assert result.exit_code == 2, arguments
        assert "Traceback" not in result.output


def test_import_search_and_refit_work_together(runner: CliRunner, tmp_path: Path) -> None:
    result = runner.invoke(main, ["import", str(written(tmp_path / "in.jsonl"))])
    assert (result.exit_code, "6 new, 0 changed" in result.stderr) == (1, True)
    assert "耐磨" in runner.invoke(main, ["search", "ceramic elbows for ore slurry"]).stdout
    assert runner.invoke(main, ["search", "…"]).exit_code == 2
    refitted = runner.invoke(main, ["refit"])
    assert (refitted.exit_code, "language space" in refitted.stderr) == (0, True)
    assert len(list((tmp_path / "home").glob("space-*.npz"))) == 1
    assert "耐磨" in runner.invoke(main, ["search", "ceramic elbows for ore slurry"]).stdout


def test_refit_of_an_empty_database_says_so(runner: CliRunner) -> None:
    assert "no listings" in runner.invoke(main, ["refit"]).stderr


def test_prepare_loads_the_model(runner: CliRunner) -> None:
    result = runner.invoke(main, ["prepare"])
    assert (result.exit_code, "hashing-256" in result.stderr) == (0, True)


def test_evaluate_measures_both_rankings(runner: CliRunner, tmp_path: Path) -> None:
    bare = [{key: value for key, value in one.items() if key != "side"} for one in (NEED, OTHERS[2])]
    needs = lines(tmp_path / "needs.jsonl", bare)
    offers = lines(tmp_path / "offers.jsonl", [OFFER, *OTHERS[:2]])
    qrels = tmp_path / "qrels.tsv"
    qrels.write_text("query-id\tcorpus-id\tscore\nn1\to1\t2\n", "utf-8")
    arguments = ["evaluate", "--needs", str(needs), "--offers", str(offers), "--qrels", str(qrels)]
    found = json.loads(runner.invoke(main, [*arguments, "--json"]).stdout)
    assert found["dukou"]["ndcg_at_10"] == found["plain cosine"]["ndcg_at_10"] == 1.0
    assert "recall at 50" in runner.invoke(main, arguments).stdout
    qrels.write_text("n1 o1 2\n", "utf-8")
    assert runner.invoke(main, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DUKOU_PORT", "abc", "DUKOU_PORT: Input should be a valid integer"),
        ("DUKOU_DATABASE_URL", "nonsense", "DUKOU_DATABASE_URL: "),
        ("DUKOU_DATABASE_URL", "nobody://x/y", "DUKOU_DATABASE_URL: "),
    ],
)
def test_a_setting_that_cannot_be_read_is_named_in_one_line(
    runner: CliRunner, name: str, value: str, said: str
) -> None:
    result = runner.invoke(main, ["serve"], env={name: value})
    assert result.exit_code == 2
    assert result.stderr.startswith(said)
    assert result.stderr.count("\n") == 1
