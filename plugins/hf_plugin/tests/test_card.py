"""What stands in the repository as README.md."""

from __future__ import annotations

import pytest
import yaml

from create_llm.errors import ConfigError, DataError
from create_llm.models.bundle import FORMAT, INFO, WEIGHTS
from create_llm.models.card import CARD, model_card
from create_llm.storage.durable import Storage, verify
from create_llm_hf.config import HuggingFaceConfig
from create_llm_hf.deploy import HuggingFace

CLASS = "Qwen3ForCausalLM"
FACTS = {
    "metrics": {"val_loss": 2.5},
    "versions": {"create_llm": "1.0"},
    "packages": {"architectures": "create-llm-gpt"},
    "architecture": "gpt",
    "parameters": 1000,
}
MINE = "---\nlanguage: de\n---\n\n# Mein Modell\n\n## Use it\n\nGern.\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """With a model, and the current folder below."""
    (tmp_path / "llm.toml").write_text("")
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    written(tmp_path / "models" / "v1", model_card("v1", FACTS, {"causal", "generate"}, CLASS))
    return tmp_path


def written(folder, card):
    with Storage().commit(folder) as writer:
        writer.write(WEIGHTS, [b"w" * 32])
        writer.write_json("config.json", {"model_type": "qwen3", "architectures": [CLASS]})
        writer.write_json(INFO, {"format": FORMAT})
        if card:
            writer.write(CARD, [card.encode()])


def sent(project, service, **options):
    """The card in the repository, and its metadata."""
    target = HuggingFace(HuggingFaceConfig(repo_name="me/model", **options))
    bundle = project / "models" / "v1"
    url = target.apply(target.plan(bundle))
    assert url.endswith("/me/model")
    verify(bundle)
    text = service.held("me/model")[CARD].decode()
    _, head, body = text.split("---\n", 2) if text.startswith("---") else ("", "{}", text)
    return body, yaml.safe_load(head)


def test_the_models_own_says_how_transformers_uses_it(project, service):
    body, said = sent(project, service)
    assert "| val loss | 2.5 |" in body
    assert "llm generate" not in body
    assert f"{CLASS}.from_pretrained(folder)" in body
    assert 'folder = "me/model"' in body
    assert said == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["create-llm"],
    }
    sent(project, service)
    assert service.commits == 1


def test_the_licence_is_in_the_metadata(project, service):
    body, said = sent(project, service, license="apache-2.0")
    assert said["license"] == "apache-2.0"
    assert said["tags"] == ["create-llm"]
    assert "## Limits" in body


def test_one_of_the_project_is_sent_as_it_is(project, service):
    (project / "CARD.md").write_text(MINE)
    sent(project, service, card="CARD.md")
    assert service.held("me/model")[CARD] == MINE.encode()
    body, said = sent(project, service, card="CARD.md", license="mit")
    assert said == {"language": "de", "license": "mit"}
    assert body.endswith("Gern.\n")
    (project / "CARD.md").write_text("# Only this\n")
    assert sent(project, service, card="CARD.md", license="mit") == (
        "\n# Only this\n",
        {"license": "mit"},
    )


def test_a_model_without_a_card_gets_one_for_its_licence(project, service):
    written(project / "models" / "v1", "")
    assert sent(project, service, license="mit")[1] == {"license": "mit"}


def test_the_plan_shows_it(project):
    (project / "CARD.md").write_text(MINE)
    target = HuggingFace(HuggingFaceConfig(repo_name="model", card="CARD.md"))
    plan = target.plan(project / "models" / "v1")
    assert {file.path: file.size for file in plan.files}[CARD] == len(MINE.encode())
    assert "take CARD.md for README.md" in plan.calls
    assert [file.path for file in plan.files] == sorted(file.path for file in plan.files)


def test_a_card_that_changes_after_its_plan_is_not_sent(project, service):
    (project / "CARD.md").write_text(MINE)
    target = HuggingFace(HuggingFaceConfig(repo_name="model", card="CARD.md"))
    plan = target.plan(project / "models" / "v1")
    (project / "CARD.md").write_text("another")
    with pytest.raises(DataError, match="changed since"):
        target.apply(plan)
    assert not service.seen


def test_a_secret_in_it_is_found(project):
    (project / "CARD.md").write_text("# a\n\nhf_" + "a" * 34)
    target = HuggingFace(HuggingFaceConfig(repo_name="model", card="CARD.md"))
    with pytest.raises(DataError, match="nothing was sent") as caught:
        target.plan(project / "models" / "v1")
    assert "CARD.md:3" in caught.value.render()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "no card CARD.md"),
        (b"\xff\xfe", "UTF-8"),
        (b"---\ntags: [x\n---\n# a", "metadata"),
        (b"---\n- a\n---\n# a", "metadata"),
    ],
)
def test_what_is_no_card_is_refused(project, data, said):
    if data is not None:
        (project / "CARD.md").write_bytes(data)
    options = {"repo_name": "model", "card": "CARD.md", "license": "mit"}
    with pytest.raises(ConfigError, match=said):
        HuggingFace(HuggingFaceConfig(**options)).plan(project / "models" / "v1")


@pytest.mark.parametrize("name", ["MIT", "", "a b", "mit\nmore: x"])
def test_a_licence_is_an_identifier(name):
    with pytest.raises(ValueError, match="license"):
        HuggingFaceConfig(repo_name="model", license=name)
