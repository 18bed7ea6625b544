import pytest

from finetune.launch import Place, WrongWorldSize, check_world_size, described_environment, find_place

ARGUMENTS = ["finetune/recipes/tiny_cpu.yaml", "train.epochs=1"]


def test_torchrun_tells_rank_and_size():
    place = find_place({"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "29500"}, [])
    assert (place.rank, place.world_size, place.is_main) == (1, 2, False)
    check_world_size(place, None, ARGUMENTS)


@pytest.mark.parametrize("flag", ["--num_processes 2", "--num-processes=2"])
def test_accelerate_on_the_cpu_that_runs_one_process_of_two_is_caught(flag):
    command = f"python accelerate launch --cpu {flag} -m finetune.train".split()
    place = find_place({"MASTER_PORT": "29500", "ACCELERATE_USE_CPU": "True"}, command)
    with pytest.raises(WrongWorldSize) as error:
        check_world_size(place, None, ARGUMENTS)
    assert "asks for 2 processes and there is 1" in str(error.value)
    assert (
        "python -m torch.distributed.run --nproc_per_node 2 -m finetune.train finetune/recipes/tiny_cpu.yaml train.epochs=1"
        in str(error.value)
    )


def test_a_launcher_that_names_no_number_but_a_port_asked_for_several():
    with pytest.raises(WrongWorldSize):
        check_world_size(find_place({"MASTER_PORT": "29500"}, []), None, ARGUMENTS)


def test_the_recipe_asks_before_the_launcher_does():
    with pytest.raises(WrongWorldSize, match=r"train\.world_size asks for 4 processes and there are 2"):
        check_world_size(Place(world_size=2, asked=2), 4, ARGUMENTS)


def test_one_process_that_nobody_asked_more_of_passes():
    place = find_place({}, ["python", "accelerate", "launch", "--num_processes", "1"])
    check_world_size(place, None, ARGUMENTS)
    assert (place.asked, place.world_size) == (1, 1)


def test_the_environment_names_versions_and_no_path():
    facts = described_environment()
    assert {"python", "hardware", "git", "torch", "trl"} <= set(facts)
    assert not any("/" in value for name, value in facts.items() if name != "git")
