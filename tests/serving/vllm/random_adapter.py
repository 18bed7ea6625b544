"""python tests/serving/vllm/random_adapter.py BASE FOLDER SEED: a LoRA adapter with random weights, its manifest beside it."""

import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

sys.path.insert(0, str(Path(__file__).parents[3]))
from finetune.manifest import write_manifest

base, folder, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
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
write_manifest(folder, name="random", base={"path": "toy"}, data=(), recipe={})
