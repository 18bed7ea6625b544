"""python tests/serving/vllm/random_adapter.py BASE FOLDER ...: LoRA adapters with different random weights, their manifests beside them."""

import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

sys.path.insert(0, str(Path(__file__).parents[3]))
from finetune.manifest import write_manifest

base, *folders = sys.argv[1:]
for seed, folder in enumerate(folders):
    torch.manual_seed(seed)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.05)
    model.save_pretrained(folder)
    write_manifest(Path(folder), name="random", base={"path": "toy"}, data=(), recipe={})
