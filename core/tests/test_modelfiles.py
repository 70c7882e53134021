from __future__ import annotations

from pathlib import Path

import pytest
from swarmgate.errors import RequestError
from swarmgate.modelfiles import Found, ModelFile, Part, find, gather, locate, part_of, plain_name, scan


def a_file(name: str, size: int = 1) -> ModelFile:
    return ModelFile(name=name, parts=(name,), size=size)


def test_parts_make_one_model() -> None:
    """Its size is that of all, it is called by its first, and what is missing is counted."""
    found = gather(
        [
            Found("big-00002-of-00003.gguf", 20, 7),
            Found("org/m.gguf", 5, 6),
            Found("big-00001-of-00003.gguf", 10, 5),
            Found("big-00009-of-00003.gguf", 99, 9),
            Found("mmproj-F16.gguf", 1, 1),
            Found("notes.txt", 1, 1),
        ]
    )
    assert found == (
        ModelFile(
            name="big-00001-of-00003.gguf",
            parts=("big-00001-of-00003.gguf", "big-00002-of-00003.gguf"),
            size=30,
            modified=7,
            missing=1,
        ),
        ModelFile(name="org/m.gguf", parts=("org/m.gguf",), size=5, modified=6),
    )


def test_a_name_is_the_path_or_its_end() -> None:
    """With or without the ending; a whole path counts before the end of another."""
    files = (a_file("a/m.gguf"), a_file("m.gguf"), a_file("b/big-00001-of-00002.gguf"))
    for name in ("m.gguf", "m"):
        assert find(files, name) is files[1]
    for name in ("a/m", "a/m.gguf"):
        assert find(files, name) is files[0]
    for name in ("big", "big.gguf", "big-00001-of-00002.gguf", "b/big-00001-of-00002"):
        assert find(files, name) is files[2]
    assert find(files, "nothing") is None


@pytest.mark.parametrize("name", ["../m.gguf", "/etc/passwd", "a/../m.gguf", "./m.gguf", "", "..", "a"])
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    """It is compared with what is there, and never opened."""
    assert find((a_file("a/m.gguf"), a_file("m.gguf")), name) is None


def test_what_may_mean_several_is_refused() -> None:
    """The message says which."""
    with pytest.raises(RequestError, match=r"'m' may mean several files of the models folder: a/m\.gguf, b/m\.gguf"):
        find((a_file("a/m.gguf"), a_file("b/m.gguf")), "m")


@pytest.mark.parametrize(
    ("name", "quantization"),
    [
        ("Llama-3.2-1B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("qwen2.5-0.5b-instruct-q8_0.gguf", "Q8_0"),
        ("m.IQ2_XS.gguf", "IQ2_XS"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("x-BF16-00001-of-00002.gguf", "BF16"),
        ("smollm.gguf", ""),
    ],
)
def test_names_tell_the_type_of_the_weights(name: str, quantization: str) -> None:
    """As far as they are made as everybody makes them."""
    assert a_file(name).quantization == quantization


def test_parts_are_named_as_llama_cpp_names_them() -> None:
    """There and back."""
    part = part_of("d/m-00002-of-00010.gguf")
    assert part == Part("d/m", 2, 10)
    assert part is not None
    assert part.named(7) == "d/m-00007-of-00010.gguf"
    assert part_of("m.gguf") is None
    assert plain_name("d/m-00002-of-00010.gguf") == "m"


def test_the_folder_is_looked_through(tmp_path: Path) -> None:
    """Links to files count, links to folders, to nothing and what is hidden do not; no folder is no files."""
    models = tmp_path / "models"
    (models / "org" / "repo").mkdir(parents=True)
    (models / ".pull").mkdir()
    (models / ".pull" / "half.gguf").write_bytes(b"x")
    (models / "org" / "repo" / "m.gguf").write_bytes(b"1234")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "far.gguf").write_bytes(b"12")
    (models / "near.gguf").symlink_to(outside / "far.gguf")
    (models / "lost.gguf").symlink_to(outside / "gone.gguf")
    (models / "folder").symlink_to(outside)
    (models / "trap.gguf").mkdir()
    assert [(file.name, file.size) for file in scan(models)] == [("near.gguf", 2), ("org/repo/m.gguf", 4)]
    assert scan(tmp_path / "none") == ()


def test_a_configuration_names_a_path_or_what_lies_in_the_folder(tmp_path: Path) -> None:
    """The path counts first; of one that leads nowhere the end is looked for, and what is not found stays as it is."""
    folder = tmp_path / "models"
    (folder / "org").mkdir(parents=True)
    for path in (folder / "org" / "m.gguf", tmp_path / "x.gguf", folder / "x.gguf"):
        path.write_bytes(b"x")
    assert locate("m", folder) == locate("org/m.gguf", folder) == folder / "org" / "m.gguf"
    assert locate(str(tmp_path / "m.gguf"), folder) == folder / "org" / "m.gguf"
    assert locate(str(tmp_path / "x.gguf"), folder) == tmp_path / "x.gguf"
    assert locate("nothing.gguf", folder) == Path("nothing.gguf")
    assert locate("m", None) == Path("m")
