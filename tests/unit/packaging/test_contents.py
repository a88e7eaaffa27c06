"""What an installer put into a folder, and what of it is left."""

from pathlib import Path

from trihull_packaging import contents

MODULE = "__pycache__/two.cpython-311.pyc"


def test_sizes_are_those_of_files_that_are_still_there_with_their_bytecode(tmp_path: Path) -> None:
    info = tmp_path / "Two_Words-1.0.dist-info"
    (tmp_path / "two/__pycache__").mkdir(parents=True)
    info.mkdir()
    listed = ("two/two.py", "two/gone.py", "linked.py", f"{info.name}/RECORD")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in listed))
    (tmp_path / "two/two.py").write_text("a=1")
    (tmp_path / "two" / MODULE).write_bytes(bytes(10))
    (tmp_path / "two/nobodys.py").write_text("b=22")
    (tmp_path / "linked.py").symlink_to("two/two.py")
    files = contents.installed(tmp_path)
    assert files["two-words"][0] == "1.0"
    (info / "RECORD").unlink()
    assert contents.sizes(tmp_path, files) == {"two-words": 13}
