#!/bin/sh
# Train the embedded models from nothing, in order, and put them where the package looks for them. Killed and started again, it goes on.
set -eu
cd "$(dirname "$0")/.."
cos=".venv/bin/python -m cos"

$cos train see --config recipes/embedded_policy_see.yaml
$cos train sft --config recipes/embedded_policy_read.yaml
$cos train sft --config recipes/embedded_policy.yaml
$cos train sft --config recipes/embedded_policy_drill.yaml
$cos train see --config recipes/embedded_reward_1_see.yaml
$cos train prm --config recipes/embedded_reward_2_read.yaml
$cos train see --config recipes/embedded_reward_3_words.yaml
$cos train prm --config recipes/embedded_reward_4_drill.yaml
$cos sample --set all:train --limit 7400 --n 8 --seed 2 --policy runs/policy/model --out runs/pool_tags
$cos train prm --config recipes/embedded_reward_5_tags.yaml
$cos train prm --config recipes/embedded_reward_6_sums.yaml
$cos sample --set all:train --limit 6000 --n 4 --seed 2 --policy runs/policy_drill/model --out runs/pool
$cos train prm --config recipes/embedded_reward_7.yaml
.venv/bin/python tools/grow_reward.py runs/reward_7/model runs/reward_grown 2
$cos sample --method best_of_n --reward runs/reward_7/model --policy runs/policy_drill/model --set all:train --limit 3000 --n 16 --keep 4 --seed 2 --out runs/hard
cat runs/pool/pool.jsonl runs/hard/pool.jsonl >runs/pool_hard.jsonl
$cos train prm --config recipes/embedded_reward_8.yaml
$cos train sft --config recipes/embedded_policy_work.yaml
$cos train sft --config recipes/embedded_policy_look.yaml
.venv/bin/python tools/smaller_eyes.py runs/policy_look/model runs/policy_eyes 48
$cos train sft --config recipes/embedded_policy_eyes.yaml
$cos sample --set all:train --limit 16000 --n 2 --seed 71 --policy runs/policy_small/model --out runs/pool_last
$cos train prm --config recipes/embedded_reward_9.yaml
$cos sample --set all:train --limit 24000 --n 2 --seed 73 --policy runs/policy_small/model --out runs/pool_fresh
$cos train prm --config recipes/embedded_reward_10.yaml
$cos train sft --config recipes/embedded_policy_lists.yaml
$cos sample --set all:train --limit 18000 --n 2 --seed 97 --policy runs/policy_last/model --out runs/pool_lists
$cos train prm --config recipes/embedded_reward_11.yaml
.venv/bin/python tools/average_models.py runs/reward_10/model runs/reward_11/model runs/reward_last/model

for role in policy_last reward_last; do
    place="cos/assets/${role%_last}"
    mkdir -p "$place"
    find "runs/$role/model" -type f ! -name README.md -exec cp {} "$place/" \; # the card that is there stays
done
