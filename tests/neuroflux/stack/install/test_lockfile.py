import pytest

from neuroflux.errors import UsageError
from neuroflux.stack.install.lockfile import Artifact, artifacts, parse

SUM = "a" * 64


def test_a_jar_and_an_archive_with_classifier() -> None:
    jar, archive = parse(
        f"# comment\n\nkafka org.x.y:a-b:jar:1.2 {SUM} 7\nregistry io.z:app:tar.gz:all:3.3.3 {SUM} 9\n"
    )
    assert jar == Artifact("kafka", "org.x.y", "a-b", "jar", "", "1.2", SUM, 7)
    assert jar.path == "org/x/y/a-b/1.2/a-b-1.2.jar"
    assert archive.path == "io/z/app/3.3.3/app-3.3.3-all.tar.gz"


@pytest.mark.parametrize("line", ["kafka org.x:a:jar:1", f"kafka org.x:a {SUM} 7", f"kafka org.x:a:jar:1 {SUM} many"])
def test_a_bad_line_is_named(line: str) -> None:
    with pytest.raises(UsageError, match=r"jars\.lock, line 2"):
        parse(f"# first\n{line}")


def test_the_lock_file_has_all_that_the_services_need() -> None:
    kafka = {artifact.name: artifact for artifact in artifacts("kafka")}
    assert {"kafka_2.13", "kafka-clients", "kafka-metadata", "kafka-raft", "log4j-slf4j-impl"} <= kafka.keys()
    assert kafka["kafka_2.13"].version.startswith("4.")
    assert len({one.version for name, one in kafka.items() if one.group == "org.apache.kafka"}) == 1
    (registry,) = artifacts("registry")
    assert registry.file_name == "apicurio-registry-app-3.3.3-all.tar.gz"
    assert all(len(bytes.fromhex(one.sha256)) == 32 for one in (*kafka.values(), registry))
