"""Ten tasks in lm-eval's own form, one of each sort, over rows of our own."""

import json
import random

WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty", "knoll", "lagoon"]

HEAD = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    train: {folder}/train.jsonl
    test: {folder}/test.jsonl
test_split: test
"""
TASKS = {
    "live_choice": """output_type: multiple_choice
doc_to_text: "Which is a {{kind}}?\\nAnswer:"
doc_to_choice: "{{options}}"
doc_to_target: gold
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
""",
    "live_norms": """output_type: multiple_choice
description: "Choose well.\\n\\n"
fewshot_split: train
fewshot_config: {sampler: first_n}
num_fewshot: 2
doc_to_text: "{{question}}"
doc_to_choice: "{{options}}"
doc_to_target: "{{options[gold]}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
  - {metric: acc_bytes, aggregation: mean, higher_is_better: true}
  - {metric: acc_mutual_info, aggregation: mean, higher_is_better: true}
""",
    "live_f1": """output_type: multiple_choice
doc_to_text: "{{question}} Is it so?"
doc_to_choice: ["no", "yes"]
doc_to_target: truth
metric_list:
  - {metric: f1}
  - {metric: mcc}
  - {metric: acc}
""",
    "live_inputs": """output_type: multiple_choice
doc_to_text: truth
doc_to_choice: "{{['The ' ~ options[0] ~ ' was', 'The ' ~ options[1] ~ ' was']}}"
doc_to_target: "{{' far from ' ~ kind}}"
target_delimiter: ""
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
""",
    "live_last_word": """output_type: loglikelihood
doc_to_text: "{{text.split(' ')[:-1]|join(' ')}}"
doc_to_target: "{{' '+text.split(' ')[-1]}}"
metric_list:
  - {metric: perplexity, aggregation: perplexity, higher_is_better: false}
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
    "live_rolling": """output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{long}}"
metric_list:
  - metric: word_perplexity
  - metric: byte_perplexity
  - metric: bits_per_byte
""",
    "live_shots": """output_type: generate_until
fewshot_split: test
num_fewshot: 3
doc_to_text: "Q: {{question}}\\nA:"
doc_to_target: "{{options[gold]}}"
generation_kwargs: {until: ["\\n", "Q:"], max_gen_toks: 12, do_sample: false}
filter_list:
  - {name: strict, filter: [{function: regex, regex_pattern: "([a-z]+)"}, {function: take_first}]}
  - {name: last, filter: [{function: regex, group_select: -1, regex_pattern: "([a-z]+)"}, {function: take_first}]}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}]
""",
    "live_draws": """output_type: generate_until
fewshot_split: train
num_fewshot: 4
doc_to_text: "{{question}}"
doc_to_target: "{{options[gold]}}"
generation_kwargs: {until: ["\\n\\n"], max_gen_toks: 16}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
""",
    "live_targets": """output_type: generate_until
doc_to_text: "Name a {{kind}}:"
doc_to_target: "{{options}}"
generation_kwargs: {until: ["."], max_gen_toks: 8, do_sample: false, temperature: 0.0}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
""",
    "live_texts": """output_type: generate_until
doc_to_text: "{{text}}"
doc_to_target: "{{text}}"
generation_kwargs: {until: "zebra", max_gen_toks: 24}
metric_list:
  - metric: bleu
  - metric: chrf
""",
}
LIVE = tuple(TASKS)
GROUP = """group: live_group
task: [live_choice, live_norms]
aggregate_metric_list: [{metric: acc, weight_by_size: true}]
"""


def write_tasks(folder):
    for split, seed, rows in (("train", 1, 20), ("test", 2, 24)):
        made = [row(random.Random(f"{seed}/{i}")) for i in range(rows)]
        if split == "test":
            made[5] = made[3]  # a duplicate, which lm-eval's sampler must not show for either
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in made))
    for name, body in TASKS.items():
        (folder / f"{name}.yaml").write_text(HEAD.format(name=name, folder=folder) + body)
    (folder / "live_group.yaml").write_text(GROUP)


def row(rng):
    options = rng.sample(WORDS, 4)
    gold = rng.randrange(4)
    return {
        "kind": rng.choice(["tree", "water", "place"]),
        "question": f"The {options[0]} near the {options[1]} is called {options[gold]}.  ",
        "options": options,
        "gold": gold,
        "truth": gold % 2,
        "text": " ".join(rng.choices(WORDS, k=9)),
        "long": " ".join(rng.choices(WORDS, k=rng.choice([5, 40, 900]))),
    }
