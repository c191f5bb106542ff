# Each target is complete on a fresh machine: it creates .venv, builds the workspace and runs.
PYTHON ?= python3
# A recording, video, folder of images or webcam index; empty for the demo world.
SOURCE ?=
# What to detect, such as 'red cup, blue ball'; empty for all classes of the detector.
PROMPTS ?=
# Networks for SOURCE: robot, cpu or demo; empty for the best that are on this machine.
PRESET ?=

# Other ROS installations and environments must not leak in. ROS_DOMAIN_ID and the like are kept.
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONHOME
unexport PYTHONPATH RMW_IMPLEMENTATION ROS_DISTRO VIRTUAL_ENV _ROS_WHEELS_BOOTSTRAP_COMPLETE

.PHONY: help workspace demo test test-runtimes unit check words docs clean

help:
	@echo 'make demo [SOURCE=PATH [PRESET=robot]]  replay a recording, or the demo world, into the node;'
	@echo '                         see demo_output/'
	@echo 'make demo PROMPTS="red cup, blue ball"   detect what these words describe'
	@echo 'make test                run all tests'
	@echo 'make test-runtimes       run the tests of OpenVINO and ONNX Runtime, which make test skips'
	@echo 'make unit                run the fast tests that need no built messages'
	@echo 'make check               run the linters, the type checker and the architecture test'
	@echo 'make words               list words that the word list rejects'
	@echo 'make docs                build the documentation site into build/docs/'
	@echo 'make workspace           only create .venv and build into it'
	@echo 'make clean               delete .venv and everything built'

workspace:
	@$(PYTHON) workspace/create.py

demo: workspace
	.venv/bin/robot-perception demo --force $(if $(SOURCE),'$(SOURCE)') $(if $(PRESET),--preset '$(PRESET)') $(if $(PROMPTS),--prompt '$(PROMPTS)')

# A test that hangs ends its process, with the stacks of all threads, and fails.
HANG_LIMIT := --max-worker-restart 0 -o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true

test: workspace
	.venv/bin/pytest --numprocesses 2 --dist loadfile $(HANG_LIMIT) $(PYTEST_ARGS)

# Not in the environment of the demo, where networks would be computed in another way.
test-runtimes: build/runtimes/.installed
	PYTHONPATH='$(CURDIR)/build/runtimes' .venv/bin/pytest --numprocesses 2 --dist loadfile \
	    test/models/test_runtimes.py test/models/test_injected_faults.py $(PYTEST_ARGS)

build/runtimes/.installed: workspace/requirements/runtimes.txt | workspace
	rm -rf build/runtimes
	.venv/bin/pip install --quiet --no-deps --target build/runtimes --requirement $<
	touch $@

# From the source tree, because colcon may never have run.
unit:
	@$(PYTHON) workspace/create.py --no-build
	PYTHONPATH='$(CURDIR)' .venv/bin/pytest --numprocesses 2 -m 'not ros and not data and not slow' $(PYTEST_ARGS)

check: workspace
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/python workspace/words.py
	.venv/bin/pytest test/test_architecture.py

words:
	@$(PYTHON) workspace/words.py

# In an environment of its own: the site needs nothing of the package but its source.
docs:
	@test -d build/docs_venv || $(PYTHON) -m venv build/docs_venv
	@build/docs_venv/bin/pip install --quiet --requirement workspace/requirements/docs.txt
	build/docs_venv/bin/mkdocs build --strict

clean:
	rm -rf .venv build install log dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
