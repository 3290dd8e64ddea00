"""The deploy target: a model repository on the Hub, in one commit."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from create_llm.errors import ConfigError, CredentialsError, DataError, NetworkError
from create_llm.interrupts import in_background
from create_llm.models.bundle import ModelBundle
from create_llm.models.card import CARD
from create_llm.models.deploy import Plan, PlannedFile
from create_llm.models.secrets import refuse_secrets
from create_llm.storage.durable import verify
from create_llm.storage.manifest import hash_file
from create_llm_hf.card import Card, sent_card
from create_llm_hf.config import HuggingFaceConfig
from create_llm_hf.files import sent_files

if TYPE_CHECKING:
    from create_llm_hf.hub import Hub

_WHAT = "the model cannot be sent"


@dataclass(frozen=True)
class _There:
    """What the branch holds: its head, and the hash of each file as the service keeps it."""

    head: str | None
    private: bool
    hashes: Mapping[str, str]


class HuggingFace:
    """Publishes a bundle. What is there already, byte for byte, is not sent again."""

    def __init__(self, config: HuggingFaceConfig) -> None:
        self._config = config

    def plan(self, bundle: Path) -> Plan:
        """
        Raises:
            DataError: the bundle is damaged, or something in it or the card holds a secret.
            ConfigError: the card cannot be read.
        """
        plan, _ = self._planned(bundle)
        return plan

    def apply(self, plan: Plan) -> str:
        """
        Raises:
            CredentialsError: there is no token, or it may not write there.
            NetworkError: the service is out of reach, or gives back something else.
            ConfigError: the repository is public and the model is not meant to be.
            DataError: the bundle is not what was planned.
        """
        from create_llm_hf.hub import needed_token, open_hub

        planned, card = self._planned(plan.bundle)
        if planned != plan:
            raise DataError(
                "the model has changed since it was planned",
                where=str(plan.bundle),
                fixes=("run the same command again",),
            )
        hub = open_hub(needed_token())
        publication = _Publication(hub, self._config, plan, card)
        # The library sends large files in threads, and after a signal would wait for their end.
        return in_background(lambda: hub.patiently(publication.carry_out, _WHAT))

    def _planned(self, bundle: Path) -> tuple[Plan, Card | None]:
        opened, records = ModelBundle.open(bundle), verify(bundle)
        card = sent_card(opened, records, self._config)
        paths = [path for path in sent_files(bundle, records) if path.name != CARD]
        refuse_secrets(paths, {} if card is None else {str(card.source): card.data})
        files = [] if card is None else [_as_planned(card)]
        for path in paths:  # a LICENSE that was put there is not among the records
            record = records.get(path.name) or hash_file(path)
            files.append(PlannedFile(path.name, record.size, record.sha256))
        files.sort(key=lambda file: file.path)
        return Plan("huggingface", bundle, tuple(files), self._calls(files)), card

    def _calls(self, files: list[PlannedFile]) -> tuple[str, ...]:
        config, size = self._config, sum(file.size for file in files)
        kind = "private" if config.private else "public"
        return (
            f"make the {kind} model repository {config.repo_name}, unless it is there",
            *([f"take {config.card} for {CARD}"] if config.card else []),
            f"one commit to {config.revision}: {len(files)} files, {size:,} bytes",
            "download each of them again and compare its SHA-256",
        )


class _Publication:
    """Carried out any number of times; what is done already is found and left."""

    def __init__(self, hub: Hub, config: HuggingFaceConfig, plan: Plan, card: Card | None) -> None:
        self._hub, self._api = hub, hub.api
        self._config, self._plan, self._card = config, plan, card

    def carry_out(self) -> str:
        repo = self._repository()
        self._make(repo)
        there = self._there(repo)
        if self._config.private and not there.private:
            raise ConfigError(
                f"{repo} is public, and deployment.huggingface.private is true",
                where=self._hub.url(repo),
                fixes=(
                    "publish it for all to see: --set deployment.huggingface.private=false",
                    "or choose another deployment.huggingface.repo_name",
                ),
            )
        changed = [file for file in self._plan.files if not self._is_there(file, there)]
        commit = self._commit(repo, there, changed) if changed else there.head
        for file in self._plan.files:
            self._compare(repo, str(commit), file)
        branch = self._config.revision
        return self._hub.url(repo, *([] if branch == "main" else ["tree", branch]))

    def _repository(self) -> str:
        """In full. Asks first who the token belongs to, so that nothing is begun in vain."""
        me = self._api.whoami()
        if me.get("auth", {}).get("accessToken", {}).get("role") == "read":
            raise CredentialsError(
                f"{_WHAT}: the token may only read",
                where=self._hub.endpoint,
                fixes=("make one that may write: https://huggingface.co/settings/tokens",),
            )
        name = self._config.repo_name
        return name if "/" in name else f"{me['name']}/{name}"

    def _make(self, repo: str) -> None:
        self._api.create_repo(repo, private=self._config.private, exist_ok=True)
        if self._config.revision != "main":
            self._api.create_branch(repo, branch=self._config.revision, exist_ok=True)

    def _there(self, repo: str) -> _There:
        info = self._api.model_info(repo, revision=self._config.revision, files_metadata=True)
        hashes = {
            file.rfilename: (file.lfs.sha256 if file.lfs else file.blob_id) or ""
            for file in info.siblings or ()
        }
        return _There(info.sha, bool(info.private), hashes)

    def _is_there(self, file: PlannedFile, there: _There) -> bool:
        known = there.hashes.get(file.path, "")
        if len(known) == len(file.sha256):
            return known == file.sha256
        return known == _blob_id(self._content(file), file.size)

    def _content(self, file: PlannedFile) -> Path | bytes:
        if self._card is not None and file.path == CARD:
            return self._card.data
        return self._plan.bundle / file.path

    def _commit(self, repo: str, there: _There, changed: list[PlannedFile]) -> str:
        """One commit on top of what was seen: were it sent twice, the second would be refused."""
        from huggingface_hub import CommitOperationAdd

        made = self._api.create_commit(
            repo,
            [CommitOperationAdd(file.path, self._content(file)) for file in changed],
            commit_message=f"{self._plan.bundle.name}, by create-llm",
            revision=self._config.revision,
            parent_commit=there.head,
        )
        return str(made.oid)

    def _compare(self, repo: str, commit: str, file: PlannedFile) -> None:
        """Download a file, hashing what comes; nothing of it is kept."""
        from huggingface_hub import get_session, hf_hub_url
        from huggingface_hub.utils._headers import build_hf_headers
        from huggingface_hub.utils._http import hf_raise_for_status

        url = hf_hub_url(repo, file.path, revision=commit, endpoint=self._hub.endpoint)
        digest, size = hashlib.sha256(), 0
        headers = build_hf_headers(token=self._hub.token)
        with get_session().stream("GET", url, headers=headers) as response:
            hf_raise_for_status(response)
            for chunk in response.iter_bytes():
                digest.update(chunk)
                size += len(chunk)
                if size > file.size:
                    break
        if digest.hexdigest() != file.sha256:
            raise NetworkError(
                f"{file.path} comes back from the service as something else",
                where=self._hub.url(repo),
                fixes=("run the same command again", "or look at the repository in a browser"),
            )


def _as_planned(card: Card) -> PlannedFile:
    return PlannedFile(CARD, len(card.data), hashlib.sha256(card.data).hexdigest())


def _blob_id(content: Path | bytes, size: int) -> str:
    """Git's name for a content; the service keeps text and small files under it."""
    digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
