"""The job files for Kubernetes and Slurm: their forms, and the commands in them."""

import importlib
from pathlib import Path
import re
import shlex
import subprocess

import jsonschema
import yaml

from robot_perception.cli.main import _parser

FOLDER = Path(__file__).parents[2] / 'examples' / 'fleet'
TEXT, COUNT, FLAG = {'type': 'string'}, {'type': 'integer', 'minimum': 0}, {'type': 'boolean'}
TEXTS = {'type': 'object', 'additionalProperties': TEXT}
QUANTITIES = {
    'type': 'object',
    'additionalProperties': {'type': 'string', 'pattern': r'^[0-9.]+(m|[KMGTP]i?)?$'},
}


def fields(required=(), **properties):
    """Return the schema of an object with no other fields."""
    return {
        'type': 'object',
        'properties': properties,
        'required': list(required),
        'additionalProperties': False,
    }


def many(item):
    return {'type': 'array', 'items': item}


# The fields in use, as the definition of RayJob in ray.io/v1 has them (KubeRay's
# ray.io_rayjobs.yaml).
CONTAINER = fields(
    ('name',),
    name=TEXT,
    image=TEXT,
    envFrom=many(fields(secretRef=fields(name=TEXT))),
    resources=fields(limits=QUANTITIES, requests=QUANTITIES),
    volumeMounts=many(fields(('mountPath', 'name'), mountPath=TEXT, name=TEXT)),
)
VOLUME = fields(('name',), name=TEXT, emptyDir=fields(sizeLimit=TEXT))
POD = fields(spec=fields(('containers',), containers=many(CONTAINER), volumes=many(VOLUME)))
RAY_JOB = fields(
    apiVersion={'const': 'ray.io/v1'},
    kind={'const': 'RayJob'},
    metadata=fields(name=TEXT),
    spec=fields(
        backoffLimit=COUNT,
        entrypoint=TEXT,
        shutdownAfterJobFinishes=FLAG,
        submissionMode={'enum': ['K8sJobMode', 'HTTPMode', 'InteractiveMode', 'SidecarMode']},
        ttlSecondsAfterFinished=COUNT,
        rayClusterSpec=fields(
            ('headGroupSpec',),
            rayVersion=TEXT,
            authOptions=fields(mode={'enum': ['disabled', 'token']}),
            headGroupSpec=fields(('template',), rayStartParams=TEXTS, template=POD),
            workerGroupSpecs=many(
                fields(
                    ('groupName', 'maxReplicas', 'minReplicas', 'template'),
                    groupName=TEXT,
                    replicas=COUNT,
                    minReplicas=COUNT,
                    maxReplicas=COUNT,
                    rayStartParams=TEXTS,
                    template=POD,
                )
            ),
        ),
    ),
)
# Long options of sbatch, as in its manual.
SBATCH = {
    *('job-name', 'nodes', 'ntasks-per-node', 'cpus-per-task', 'gpus-per-task', 'time'),
    *('requeue', 'output', 'partition', 'account', 'mem', 'array', 'exclusive'),
}


def parsed(command):
    program, *words = shlex.split(command)
    assert program == 'robot-perception'
    arguments = _parser(words).parse_args(words)
    importlib.import_module('robot_perception.cli.fleet')._check_workers(arguments)
    return arguments


def test_the_job_for_kubernetes():
    job = yaml.safe_load((FOLDER / 'rayjob.yaml').read_text(encoding='utf-8'))
    jsonschema.validate(job, RAY_JOB)
    spec = job['spec']
    arguments = parsed(spec['entrypoint'])
    (group,) = spec['rayClusterSpec']['workerGroupSpecs']
    (container,) = group['template']['spec']['containers']
    limits = container['resources']['limits']
    assert arguments.verb == 'fleet'
    assert (arguments.engine, arguments.address) == ('ray', 'auto')
    # A worker fits on a node.
    assert arguments.cpus <= int(limits['cpu'])
    assert arguments.gpus <= int(limits['nvidia.com/gpu'])


def test_the_job_for_slurm():
    path = FOLDER / 'fleet.sbatch'
    text = path.read_text(encoding='utf-8')
    subprocess.run(['bash', '-n', str(path)], check=True)
    options = dict(re.findall(r'^#SBATCH --([a-z-]+)(?:=(.+))?$', text, re.MULTILINE))
    assert len(options) == text.count('#SBATCH')
    assert set(options) <= SBATCH
    # Slurm ignores options after the first command.
    assert text.index('set -euo') > text.rindex('#SBATCH')
    # Steps do not take the cores of the job by themselves.
    assert text.index('export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"') < text.index('\nsrun')
    joined = text.replace('\\\n', ' ')
    (command,) = re.findall(r'^srun .*?(robot-perception .*)$', joined, re.MULTILINE)
    arguments = parsed(command)
    assert arguments.engine == 'ray'
    assert arguments.cpus * arguments.gpus <= int(options['cpus-per-task'])
    assert int(options['cpus-per-task']) // arguments.cpus == int(options['gpus-per-task'])
