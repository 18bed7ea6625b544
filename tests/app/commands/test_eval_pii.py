import json

from typer.testing import CliRunner

from app.commands.eval import app

ROW = {
    "full_text": "Write to ada@mail.example or call 555-010-4477, Ada.",
    "spans": [
        {"entity_type": "EMAIL_ADDRESS", "start_position": 9, "end_position": 25},
        {"entity_type": "PHONE_NUMBER", "start_position": 34, "end_position": 46},
        {"entity_type": "PERSON", "start_position": 48, "end_position": 51},
    ],
}


def test_the_product_finds_what_it_claims_and_says_what_it_does_not(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW))
    done = CliRunner().invoke(app, ["pii", "--data", str(tmp_path / "rows.jsonl"), "--json"])
    facts = json.loads(done.stdout)
    assert done.exit_code == 0
    assert facts["all_claimed"]["recall"] == facts["all_claimed"]["precision"] == 1.0
    assert facts["not_claimed"]["PERSON"]["spans"] == 1


def test_a_person_reads_a_table(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW))
    done = CliRunner().invoke(app, ["pii", "--data", str(tmp_path / "rows.jsonl")])
    assert "phone" in done.stdout
    assert "Not claimed, so not looked for: PERSON (1)." in done.stdout
