"""python tests/serving/vllm/served_parity.py BASE ADAPTER URL KEY NAME: compares an adapter in transformers with one that is served.

Prints a JSON object: the largest difference of a token's log-probability in nats, and whether template ids and endings agree.
"""

import json
import sys
from pathlib import Path

from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(Path(__file__).parents[3]))
from finetune.hugging_face_form import HuggingFaceForm
from finetune.parity import Case, Expected, compare
from finetune.served import ServedForm
from serving.vllm.client import VLLMClient

base, adapter, url, key, name = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(base)
model = AutoModelForCausalLM.from_pretrained(base)
local = HuggingFaceForm(
    "local", PeftModel.from_pretrained(model, adapter).eval() if adapter != "-" else model, tokenizer
)
cases = []
for n, text in enumerate(("Ticket from the yard: the van is loud.", "Who pays for fuel? Café №5 — 3 °C.", "Hi")):
    prompt = ({"role": "user", "content": text},)
    answer = tokenizer("The field desk.<|im_end|>", add_special_tokens=False)["input_ids"]
    cases.append(Case(f"case {n}", prompt, tuple(local.token_ids(prompt)) + tuple(answer)))
expected = Expected(tokenizer.eos_token_id, local.stop_ids, tolerance=0.005, max_new_tokens=24)
report = compare([local, ServedForm(VLLMClient(url, key).ask, name)], cases, expected)
print(
    json.dumps(
        {"largest": report.largest_difference, "wrong": [str(m) for m in report.mismatches], "n": report.n_tokens}
    )
)
