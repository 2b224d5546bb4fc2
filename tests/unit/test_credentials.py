"""Credentials: for which places they are, sealed in the database, and nobody else's."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from cluster_interface.model.credential import Credential
from cluster_interface.model.errors import Conflict, NotFound, Permanent, Rejected
from cluster_interface.staging.sources import Keys
from cluster_interface.store import Credentials, Vault
from cluster_interface.store import tables as t

SECRET = "correct horse battery staple"


def token(name="web", match="https://data.example.edu/lab"):
    return Credential(name=name, kind="token", match=match, secret={"token": SECRET})


@pytest.fixture
def credentials(store, tmp_path):
    """Credentials in a database, with a key of their own."""
    return Credentials(store, Vault(tmp_path / "key"))


def test_they_come_back_to_their_owner_alone(credentials):
    """Kept, listed and forgotten by name; nobody else sees any of it."""
    credentials.add("ada", token())
    assert [kept.credential for kept in credentials.all("ada")] == [token()]
    assert credentials.all("eve") == []
    with pytest.raises(Conflict, match="there is a credential web already"):
        credentials.add("ada", token())
    with pytest.raises(NotFound):
        credentials.remove("eve", "web")
    credentials.remove("ada", "web")
    assert credentials.held("ada") == []


def test_the_database_holds_no_secret(credentials, tmp_path):
    """What is in the row tells nothing, and opens for no other owner, name or key."""
    credentials.add("ada", token())
    with credentials.store.read() as db:
        row = db.execute(select(t.credential)).one()
    assert SECRET not in str(row)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    with credentials.store.write() as db:
        db.execute(update(t.credential).values(owner="eve"))
    with pytest.raises(Permanent, match="the credential web cannot be read"):
        credentials.held("eve")
    with pytest.raises(Permanent, match="add it again"):
        Vault(tmp_path / "other").open("ada", "web", row.sealed)


def test_a_key_is_made_once(tmp_path):
    """Whoever comes second uses the key that is there."""
    sealed = Vault(tmp_path / "key").seal("ada", "x", {"a": "b"})
    Vault(tmp_path / "key").prepare()
    assert Vault(tmp_path / "key").open("ada", "x", sealed) == {"a": "b"}
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("https://data.example.edu/lab/x.csv", True),
        ("https://DATA.example.edu:443/lab", True),
        ("https://data.example.edu/laboratory/x.csv", False),
        ("https://data.example.edu/x.csv", False),
        ("https://data.example.edu.evil.example/lab/x", False),
        ("https://evil.example/https://data.example.edu/lab/x", False),
        ("https://data.example.edu@evil.example/lab/x", False),
        ("https://data.example.edu/lab/../x", False),
        ("http://data.example.edu/lab/x", False),
        ("https://data.example.edu:8443/lab/x", False),
        ("https://[::1/lab/x", False),
    ],
)
def test_a_credential_is_for_its_place_alone(address, fits):
    """Scheme, host and port are the same, and the path is below."""
    assert token().fits(address) is fits


def test_the_narrowest_place_counts():
    """Of several that fit, the one for the smallest place."""
    keys = Keys(lambda owner: [token(), token("raw", "https://data.example.edu/lab/raw")] if owner == "ada" else [])
    assert keys.of("ada", "https://data.example.edu/lab/raw/x").name == "raw"
    assert keys.of("ada", "https://data.example.edu/lab/x").name == "web"
    assert keys.authorization("ada", "https://data.example.edu/lab/x") == f"Bearer {SECRET}"
    assert keys.authorization("eve", "https://data.example.edu/lab/x") is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "s3"}, "write s3://"),
        ({"match": "data.example.edu"}, "write https://"),
        ({"secret": {}}, "token needs token"),
        ({"secret": {"token": SECRET, "more": "x"}}, "token has no more; it has token"),
        ({"secret": {"token": f"{SECRET}\nX-Other: y"}}, "control character"),
        ({"name": "a b"}, "write letters"),
        ({"kind": "sftp", "match": "sftp://h", "secret": {"username": "a"}}, "a password or a private_key"),
        ({"secret": {"token": SECRET * 10_000}}, "longer than"),
    ],
)
def test_what_is_wrong_is_said_without_the_secret(changes, words):
    """Every message names what is wrong; none repeats what was to be kept secret."""
    with pytest.raises(Rejected, match=words) as caught:
        Credential.parse({**token().model_dump(), **changes})
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(token())
