import pytest

from data.errors import InvalidInput, NotFound
from prompts.registry import TEMPLATES, load_prompt

GOOD = """---
name: greet
version: 1
owner: ask
description: Says hello.
inputs: [name]
---
## system
You greet people.

## user
Hello {{ name }}!
"""


def written(folder, text, name="greet@1.md"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.md")), ids=lambda path: path.stem)
def test_every_template_that_ships_loads_under_its_name(path):
    name, version = path.stem.split("@")
    assert load_prompt(name, int(version)).ref == path.stem


def test_a_prompt_renders_its_variables_into_messages(tmp_path):
    prompt = load_prompt("greet", folder=written(tmp_path, GOOD))
    assert prompt.render(name="Ada") == [("system", "You greet people."), ("user", "Hello Ada!")]


def test_braces_in_a_value_are_text_and_not_another_variable(tmp_path):
    prompt = load_prompt("greet", folder=written(tmp_path, GOOD))
    assert prompt.render(name="{{ name }} \\1")[1] == ("user", "Hello {{ name }} \\1!")


@pytest.mark.parametrize(("values", "named"), [({}, "name"), ({"name": "Ada", "nmae": "x"}, "nmae")])
def test_missing_and_unknown_variables_are_refused_by_name(tmp_path, values, named):
    with pytest.raises(InvalidInput, match=named):
        load_prompt("greet", folder=written(tmp_path, GOOD)).render(**values)


def test_the_hash_changes_with_the_text_and_only_with_it(tmp_path):
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    same, again, other = (
        load_prompt("greet", folder=written(folder, text)).sha256
        for folder, text in zip(folders, (GOOD, GOOD, GOOD.replace("Hello", "Hi")), strict=True)
    )
    assert same == again != other


def test_the_newest_version_is_the_tenth_and_not_the_ninth(tmp_path):
    for n in (1, 9, 10):
        written(tmp_path, GOOD.replace("version: 1", f"version: {n}"), f"greet@{n}.md")
    assert load_prompt("greet", folder=tmp_path).version == 10
    assert load_prompt("greet", 9, tmp_path).ref == "greet@9"


@pytest.mark.parametrize(("name", "version"), [("great", None), ("greet", 7)])
def test_what_is_not_there_is_named_with_what_is(tmp_path, name, version):
    with pytest.raises(NotFound, match="There are: greet@1"):
        load_prompt(name, version, written(tmp_path, GOOD))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Hello", "no front matter"),
        ("---\nname: greet\n", "no front matter"),
        (GOOD.replace("owner: ask\n", ""), "owner: Field required"),
        (GOOD.replace("owner: ask", "owner: ask\ncolour: red"), "colour: Extra inputs"),
        (GOOD.replace("[name]", "[name"), "no YAML"),
        (GOOD.replace("name: greet", "- greet"), "no YAML|valid dictionary"),
        (GOOD.replace("version: 1", "version: 2"), "greet@2"),
        (GOOD.replace("[name]", "[name, age]"), "differ in age"),
        (GOOD.replace("{{ name }}", "{{ age }}"), "differ in age, name"),
        (GOOD.replace("{{ name }}", "{{ name }} {{first name}}"), "first name"),
        (GOOD.replace("{{ name }}", "{{ name }"), "no variable"),
        (GOOD.replace("## system\n", ""), "must stand under"),
        (GOOD.replace("You greet people.\n", ""), "must stand under"),
    ],
)
def test_a_malformed_file_is_refused_with_its_name_and_the_reason(tmp_path, text, told):
    with pytest.raises(InvalidInput, match=told) as raised:
        load_prompt("greet", folder=written(tmp_path, text))
    assert "greet@1.md" in str(raised.value)


def test_a_version_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"greet@new\.md.*'new'"):
        load_prompt("greet", folder=written(tmp_path, GOOD, "greet@new.md"))
