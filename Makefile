# Each target is complete on a fresh machine: it creates .venv, builds the workspace and runs.
PYTHON ?= python3
# A recording, a video, a folder of pictures or a webcam index; empty for the demo world.
SOURCE ?=

# Whatever else is installed or sourced must not leak in. ROS_DOMAIN_ID and the like stay.
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONHOME
unexport PYTHONPATH RMW_IMPLEMENTATION ROS_DISTRO VIRTUAL_ENV _ROS_WHEELS_BOOTSTRAP_COMPLETE

.PHONY: help workspace demo test check clean

help:
	@echo 'make demo [SOURCE=PATH]  show the node a recording, or the demo world; into demo_output/'
	@echo 'make test                run the tests'
	@echo 'make check               run the linters, the type checker and the test of the architecture'
	@echo 'make workspace           only create .venv and build into it'
	@echo 'make clean               delete what was built; .venv goes too'

workspace:
	@$(PYTHON) workspace/create.py

demo: workspace
	.venv/bin/robot-perception demo $(if $(SOURCE),'$(SOURCE)')

test: workspace
	.venv/bin/pytest $(PYTEST_ARGS)

check: workspace
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/pytest test/test_architecture.py

clean:
	rm -rf .venv build install log dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
