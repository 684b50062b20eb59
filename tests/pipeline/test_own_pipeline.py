"""Nodes in the place of ours, further ones, and the pipeline that a configuration names."""

import textwrap

import pytest

from taxiway.components.errors import ConfigError, UsageError
from taxiway.pipeline.config import load_config, parse_config
from taxiway.pipeline.root import Root

MODULE = """
    from tfx import v1 as tfx
    import taxiway

    @tfx.dsl.components.component
    def Sampler(examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
                sampled: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Examples]):
        pass

    def make_trainer(nodes):
        sampler = Sampler(examples=nodes["Transform"].outputs["transformed_examples"])
        trainer = tfx.components.Trainer(
            run_fn="mine.run_fn",
            examples=sampler.outputs["sampled"],
            transform_graph=nodes["Transform"].outputs["transform_graph"],
            train_args=tfx.proto.TrainArgs(num_steps=1),
            eval_args=tfx.proto.EvalArgs(num_steps=1),
        ).with_id("MyTrainer")
        return [sampler, trainer]

    def make_evaluator(nodes):
        return tfx.components.Evaluator(
            examples=nodes["ExampleGen"].outputs["examples"], model=nodes["Trainer"].outputs["model"]
        ).with_id("SecondEvaluator")

    def create(config, root, **options):
        return taxiway.create_pipeline(config, root, trainer=make_trainer, extra_nodes=[make_evaluator], **options)

    def elsewhere(config, root, **options):
        return taxiway.create_pipeline(config, root.path / "elsewhere", **options)

    def nothing(config, root, **options):
        return None

    def fails(config, root, **options):
        return {}["a key"]

    def takes_less(config):
        return None

    def exits(config, root, **options):
        raise SystemExit("out")

    def refuses(config, root, **options):
        return taxiway.create_pipeline(config, root, trainr=make_trainer, **options)
"""


@pytest.fixture
def named(tmp_path, monkeypatch):
    """A configuration whose pipeline is a function of a module beside it."""
    (tmp_path / "own_nodes.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.syspath_prepend(tmp_path)
    return lambda function: load_config(overrides=(f"pipeline=own_nodes:{function}",))


def list_predicates(pipeline):
    from tfx.dsl.experimental.conditionals import conditional

    return {
        node.id: len(conditional.get_predicates(node, pipeline.dsl_context_registry)) for node in pipeline.components
    }


def test_nodes_take_the_place_of_ours_and_others_come_beside(named, tmp_path):
    from taxiway.pipeline.own_pipeline import build_pipeline

    made = build_pipeline(named("create"), Root.at(tmp_path))
    nodes = {node.id: node for node in made.components}
    assert "MyTrainer" not in nodes and nodes["Trainer"].exec_properties["run_fn"] == "mine.run_fn"
    assert nodes["Sampler"] in nodes["Trainer"].upstream_nodes
    assert nodes["ModelOptimizer"].inputs["trained_model"] is nodes["Trainer"].outputs["model"]
    predicates = list_predicates(made)
    assert {predicates[name] for name in ("Sampler", "Trainer", "SecondEvaluator")} == {1}
    assert predicates["ModelOptimizer"] == 2


def test_it_compiles_for_kubeflow(named):
    from taxiway.pipeline.kubeflow.compiler import compile_for_target

    tasks = compile_for_target(named("create")).spec["root"]["dag"]["tasks"]
    assert {"Sampler", "SecondEvaluator", "Pusher"} <= set(tasks)
    assert tasks["Pusher"]["inputs"]["parameters"]["run_id"]["runtimeValue"]["constant"] == "{{$.pipeline_job_uuid}}"


def test_a_blessed_node_waits_for_the_blessing(tmp_path):
    from tfx import v1 as tfx

    from taxiway.pipeline.dag import create_pipeline

    def make_inferrer(nodes):
        return tfx.components.BulkInferrer(
            examples=nodes["ExampleGen"].outputs["examples"], model=nodes["ModelOptimizer"].outputs["model"]
        )

    made = create_pipeline(load_config(), tmp_path, blessed_nodes=[make_inferrer])
    assert list_predicates(made)["BulkInferrer"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"trainr": lambda nodes: None}, r"no node 'trainr'(.|\n)*'trainer'"),
        ({"trainer": lambda nodes: "text"}, "returned 'text', which is no TFX node"),
        ({"trainer": lambda nodes: []}, "returned no node"),
        ({"trainer": 3}, "trainer is a int, not a function"),
        ({"extra_nodes": [lambda nodes: nodes["Trainer"]]}, "Two nodes have the id 'Trainer'"),
    ],
)
def test_what_cannot_be_a_node_is_refused(tmp_path, arguments, message):
    from taxiway.pipeline.dag import create_pipeline

    with pytest.raises(UsageError, match=message):
        create_pipeline(load_config(), tmp_path, **arguments)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("elsewhere", "whose pipeline_root is '.*elsewhere/artifacts', not"),
        ("nothing", "returned NoneType, which is no TFX pipeline"),
        ("gone", r"pipeline 'own_nodes.gone' cannot be imported"),
    ],
)
def test_a_pipeline_that_no_command_would_find_is_refused(named, tmp_path, function, message):
    from taxiway.pipeline.own_pipeline import build_pipeline

    with pytest.raises(ConfigError, match=message):
        build_pipeline(named(function), Root.at(tmp_path))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            "fails",
            r"pipeline: own_nodes:fails failed: KeyError: 'a key' \(.*own_nodes\.py, line \d+\)(.|\n)*cache=\.\.\.",
        ),
        ("takes_less", r"own_nodes:takes_less failed: TypeError: takes_less\(\) got an unexpected keyword"),
    ],
)
def test_what_the_users_function_raises_is_a_configuration_error_with_its_line(named, tmp_path, function, message):
    from taxiway.pipeline.own_pipeline import build_pipeline

    with pytest.raises(ConfigError, match=message) as raised:
        build_pipeline(named(function), Root.at(tmp_path))
    assert raised.value.__cause__ is not None


def test_an_error_of_ours_inside_of_it_and_an_exit_stay_what_they_are(named, tmp_path):
    from taxiway.pipeline.own_pipeline import build_pipeline

    with pytest.raises(UsageError, match="no node 'trainr'"):
        build_pipeline(named("refuses"), Root.at(tmp_path))
    with pytest.raises(SystemExit, match="out"):
        build_pipeline(named("exits"), Root.at(tmp_path))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (("Smapler", None), r"--from 'Smapler': the pipeline has no such node(.|\n)*'Sampler'"),
        ((None, "Tuner"), "--to 'Tuner': the pipeline has no such node"),
        (("Trainer", "Sampler"), r"--from Trainer comes after --to Sampler(.|\n)*Sampler, Trainer"),
    ],
)
def test_the_part_to_run_names_nodes_of_the_users_pipeline(named, tmp_path, part, message):
    """The names of ours are no measure for it: `Sampler` is a node, and `Tuner`, which it does not have, is none."""
    from taxiway.pipeline.own_pipeline import build_pipeline
    from taxiway.pipeline.runs.launching import runners

    ir = runners.compile_pipeline(build_pipeline(named("create"), Root.at(tmp_path)), "run-1")
    with pytest.raises(UsageError, match=message):
        runners.mark_partial_run(ir, runners.PartialRun(*part), None)
    assert not runners.find_left_out(ir)


def test_the_key_wants_module_and_function():
    config = load_config()
    content = config.model_dump(mode="json") | {"pipeline": "own_nodes.create"}
    with pytest.raises(ConfigError, match="pipeline"):
        parse_config(content)
    assert load_config(overrides=("pipeline=a.b:c",)).pipeline_function == "a.b.c"


def test_a_component_beside_the_configuration_counts_for_the_cache(tmp_path):
    from taxiway.pipeline.code_fingerprint import fingerprint_nodes

    module = tmp_path / "own_nodes.py"
    digests = []
    for text in ("x = 1\n", "x = 2\n"):
        module.write_text(text)
        digests.append(fingerprint_nodes({"Mine": "own_nodes.Mine_Executor", "Stock": "tfx.x.Executor"}, (), tmp_path))
    assert digests[0]["Mine"] != digests[1]["Mine"] and digests[0]["Stock"] == digests[1]["Stock"]
