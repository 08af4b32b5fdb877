"""Settings come from the environment and are shown without secrets."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from api.settings import Settings, default_data_dir, mask_url, show_settings, unknown_variables


@pytest.fixture
def environment(monkeypatch):
    """Sets variables in an environment that has none of ours; answers it."""
    import os

    for name in os.environ:
        if name.startswith("JALON_") or name == "DATABASE_URL":
            monkeypatch.delenv(name)

    def put(**variables: str):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return os.environ

    return put


def test_without_a_database_the_private_cluster_is_used(environment):
    environment()

    assert Settings().uses_private_cluster


def test_our_own_name_for_the_database_goes_before_the_common_one(environment):
    variables = environment(DATABASE_URL="postgresql://common/", JALON_DATABASE_URL="postgresql://ours/")

    settings = Settings()

    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://ours/"
    assert shown(settings, variables)["JALON_DATABASE_URL"].source == "JALON_DATABASE_URL"


def test_the_source_of_each_value_is_told(environment):
    variables = environment(DATABASE_URL="postgresql://common/", JALON_PORT="8080", JALON_HOST="")

    found = shown(Settings(), variables)

    assert found["JALON_DATABASE_URL"].source == "DATABASE_URL"
    assert (found["JALON_PORT"].value, found["JALON_PORT"].source) == ("8080", "JALON_PORT")
    assert (found["JALON_HOST"].value, found["JALON_HOST"].source) == ("127.0.0.1", "default")


@pytest.mark.parametrize("proxies", ["127.0.0.1", "10.0.0.0/8, ::1", "2001:db8::/32"])
def test_proxies_are_addresses_and_networks(environment, proxies):
    environment(JALON_TRUSTED_PROXIES=proxies)

    assert Settings().trusted_proxies == proxies


@pytest.mark.parametrize("proxies", ["*", "proxy.example", "10.0.0.1/8", "10.0.0.0/40", "127.0.0.1 ::1"])
def test_proxies_that_nobody_could_tell_are_refused(environment, proxies):
    environment(JALON_TRUSTED_PROXIES=proxies)

    with pytest.raises(ValidationError, match="trusted_proxies"):
        Settings()


def test_a_value_that_cannot_be_is_refused_without_repeating_it(environment):
    environment(JALON_PORT="hunter2")

    with pytest.raises(ValidationError) as refusal:
        Settings()

    assert "port" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_a_misspelt_variable_is_found(environment):
    assert unknown_variables(environment(JALON_PROT="1", jalon_port="1", JALON_DATA_DIR="/x")) == ["JALON_PROT"]


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://jalon@db/jalon", "postgresql://jalon@db/jalon"),
        ("postgresql://jalon:p%40ss@db:5432/jalon", "postgresql://jalon:***@db:5432/jalon"),
        ("postgresql://jalon:p@/:ss@db/jalon?sslmode=require", "postgresql://jalon:***@db/jalon?sslmode=require"),
        ("postgresql:///jalon?host=/run&password=secret&x=1", "postgresql:///jalon?host=/run&password=***&x=1"),
        ("s3://key:secret@bucket/photos", "s3://key:***@bucket/photos"),
        ("s3://AKIA:a/b+c=d@bucket/photos", "s3://AKIA:***@bucket/photos"),
        (
            "s3://bucket?aws_access_key_id=AKIA&aws_secret_access_key=a/b+c=&region=ca-central-1",
            "s3://bucket?aws_access_key_id=***&aws_secret_access_key=***&region=ca-central-1",
        ),
        ("az://photos?sv=2024&sig=a%2Bb&se=2027", "az://photos?sv=2024&sig=***&se=2027"),
        ("gs://photos?service_account_key=hush", "gs://photos?service_account_key=***"),
        ("host=db user=web password=hush dbname=jalon", "host=db user=web password=*** dbname=jalon"),
        ("password = 'hu sh\\' it' host=db", "password = *** host=db"),
        ("PASSWORD=hush", "PASSWORD=***"),
        ("host=db\nsslpassword=hush", "host=db\nsslpassword=***"),
        ("postgresql:///jalon?sslmode=require&passfile=/x", "postgresql:///jalon?sslmode=require&passfile=***"),
        ("postgresql://web:hush@a:1,b:2/jalon", "postgresql://web:***@a:1,b:2/jalon"),
        ("file:///var/lib/jalon/photos", "file:///var/lib/jalon/photos"),
        ("127.0.0.1, 10.0.0.1", "127.0.0.1, 10.0.0.1"),
        ("https://fcm.googleapis.com", "https://fcm.googleapis.com"),
    ],
)
def test_passwords_in_urls_are_masked(url, masked):
    assert mask_url(url) == masked


def test_nothing_shown_or_printed_holds_a_secret(environment):
    variables = environment(
        JALON_DATABASE_URL="postgresql://web:hush@db/jalon",
        JALON_OWNER_DATABASE_URL="postgresql://owner:hush@db/jalon",
        JALON_STORAGE_URL="s3://bucket?aws_secret_access_key=hush",
        JALON_BASE_URL="https://user:hush@city.example",
        JALON_FCM_URL="https://fcm.example?key=hush",
    )

    settings = Settings()

    assert "hush" not in str(show_settings(settings, variables))
    assert "hush" not in repr((settings.database_url, settings.owner_database_url))


@pytest.mark.parametrize("variable", ["JALON_DATABASE_URL", "JALON_OWNER_DATABASE_URL"])
def test_a_connection_string_is_shown_without_its_password(environment, variable):
    variables = environment(**{variable: "host=db user=web password=hush dbname=jalon"})

    assert shown(Settings(), variables)[variable].value == "host=db user=web password=*** dbname=jalon"


@pytest.mark.parametrize(
    ("variables", "is_root", "folder"),
    [
        ({"HOME": "/root"}, True, "/var/lib/jalon"),
        ({"HOME": "/home/a"}, False, "/home/a/.local/share/jalon"),
        ({"HOME": "/home/a", "XDG_DATA_HOME": "/data"}, False, "/data/jalon"),
    ],
)
def test_data_lies_where_the_servers_account_can_reach_it(variables, is_root, folder):
    assert default_data_dir(variables, is_root=is_root) == Path(folder)


def test_photos_lie_in_the_data_folder_unless_said_otherwise(environment, tmp_path):
    environment(JALON_DATA_DIR=str(tmp_path / "a b"))
    assert Settings().photos_url == f"file://{tmp_path}/a%20b/photos"

    environment(JALON_STORAGE_URL="s3://bucket")
    assert Settings().photos_url == "s3://bucket"


def shown(settings, variables):
    return {entry.variable: entry for entry in show_settings(settings, variables)}
