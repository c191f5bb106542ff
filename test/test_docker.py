"""The Dockerfile and its page name files, targets and programs that exist."""

from pathlib import Path
import re

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / 'docker' / 'Dockerfile').read_text(encoding='utf-8')
PAGE = (ROOT / 'docker' / 'README.md').read_text(encoding='utf-8')


def test_the_files_that_are_built_exist():
    files = re.findall(r'docker build -f (\S+)', DOCKERFILE + PAGE)
    assert len(files) == 3
    assert all((ROOT / file).is_file() for file in files)
    # BuildKit reads the file of this name beside the Dockerfile.
    ignored = (ROOT / 'docker' / 'Dockerfile.dockerignore').read_text(encoding='utf-8')
    assert {'.git', '.venv', 'build'} <= set(ignored.split())


def test_what_is_copied_has_the_target_that_is_made():
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    targets = re.findall(r'(?:&&|RUN|") make (\w+)', DOCKERFILE)
    assert targets
    assert all(re.search(rf'^{target}:', makefile, re.MULTILINE) for target in targets)
    (folder,) = re.findall(r'^COPY \. (\S+)$', DOCKERFILE, re.MULTILINE)
    assert f'WORKDIR {folder}' in DOCKERFILE


def test_the_arguments_that_are_given_are_declared():
    assert set(re.findall(r'--build-arg (\w+)=', DOCKERFILE + PAGE)) == set(
        re.findall(r'^ARG (\w+)=', DOCKERFILE, re.MULTILINE)
    )


def test_the_programs_that_are_run_are_installed():
    build = (ROOT / 'CMakeLists.txt').read_text(encoding='utf-8')
    installed = dict(re.findall(r'install_entry_point\((\S+) \S+ (\S+)\)', build))
    run = re.findall(r'^    (\S+) .*$|CMD \["(\S+)"', PAGE + DOCKERFILE, re.MULTILINE)
    programs = {name for names in run for name in names if name in installed}
    assert programs == {'robot-perception', 'perception_node'}
    for program in programs:
        folder = installed[program].replace('${PROJECT_NAME}', 'robot_perception')
        assert f'.venv/{folder}:' in DOCKERFILE
