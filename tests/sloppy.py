"""Shapes in which models that were asked for the plain form write the same chain of two steps."""

from __future__ import annotations

from cos.chain import Chain, Step
from cos.plain_form import plain_pieces

LOOK, WORK = (
    Step("Read the bars", "Green is 7, brown is 3.", "Both tops meet a line."),
    Step("Subtract", "7 - 3 = 4.", "The numbers are read."),
)
CHAIN = Chain((LOOK, WORK), "4")
BARE = Chain((Step("Read the bars", "Green is 7, brown is 3.", ""), Step("Subtract", "7 - 3 = 4.", "")), "4")
EXACT = "".join(plain_pieces(CHAIN))

SLOPPY: dict[str, tuple[str, Chain]] = {
    "prose before and after": (f"Sure! Let me think step by step.\n\n{EXACT}\n\nI hope this helps! Answer: 5", CHAIN),
    "no step ends": (EXACT.replace("</step>\n", ""), CHAIN),
    "no step beginnings": (EXACT.replace("<step>\n", ""), CHAIN),
    "no end of the answer": (EXACT.replace("</answer>", ""), CHAIN),
    "in a code block": (f"```xml\n{EXACT}\n```", CHAIN),
    "other case, numbered tags": (
        EXACT.replace("<step>", '<Step id="1">').replace("</step>", "</Step>").replace("Name:", "NAME :").replace("answer>", "Answer>"),
        CHAIN,
    ),
    "fields as tags": (
        "".join(
            f"<step><name>{s.name}</name><thought>{s.thought}</thought><reflection>{s.reflection}</reflection></step>" for s in CHAIN.steps
        )
        + "<answer> 4 </answer>",
        CHAIN,
    ),
    "Markdown headers and bold labels": (
        "".join(
            f"### Step {i}: {s.name}\n**Thought:** {s.thought}\n\n**Reflection**: {s.reflection}\n\n" for i, s in enumerate(CHAIN.steps, 1)
        )
        + "### Final Answer: **4**",
        CHAIN,
    ),
    "headers in words, no colon": (
        "Step One\nName: Read the bars\nThought: Green is 7, brown is 3.\nReflection: Both tops meet a line.\n"
        "Step Two\nName: Subtract\nThought: 7 - 3 = 4.\nReflection: The numbers are read.\n\nThe final answer is: 4",
        CHAIN,
    ),
    "bullets with labels": (
        "".join(f"- Name: {s.name}\n- Thought: {s.thought}\n- Reflection: {s.reflection}\n" for s in CHAIN.steps) + "- Answer: 4\n",
        CHAIN,
    ),
    "a numbered list": ("1. Read the bars: Green is 7, brown is 3.\n2. Subtract: 7 - 3 = 4.\n\nTherefore, the answer is 4", BARE),
    "a bold numbered list with lines": (
        "Let's see.\n\n1. **Read the bars**\n   Green is 7, brown is 3.\n\n2. **Subtract**\n   7 - 3 = 4.\n\n**Answer:** 4\n\nDone.",
        BARE,
    ),
    "numbered steps with brackets": ("1) Step 1: Read the bars\nGreen is 7, brown is 3.\n2) Step 2: Subtract\n7 - 3 = 4.\nAnswer: 4", BARE),
    "bold headers with dots": (
        "**Step 1.** Read the bars\nGreen is 7, brown is 3.\n**Step 2.** Subtract\n7 - 3 = 4.\n**Answer**: 4",
        BARE,
    ),
    "LaTeX": ("Step 1: Read the bars\nGreen is 7, brown is 3.\nStep 2: Subtract\n7 - 3 = 4.\nAnswer: $\\boxed{4}$", BARE),
    "a list within a step": (
        "<step>\nName: Read the bars\nThought: There are\n1. green, 7\n2. brown, 3\nReflection: Both tops meet a line.\n</step>\n<answer>4",
        Chain((Step("Read the bars", "There are\n1. green, 7\n2. brown, 3", LOOK.reflection),), "4"),
    ),
    "an announced answer, then tags": (f"{EXACT.partition('<answer>')[0]}Answer:\n<answer>4</answer>", CHAIN),
    "prose alone": (
        "Green is 7 and brown is 3, so 7 - 3 = 4.\nThe answer is 4",
        Chain((Step("", "Green is 7 and brown is 3, so 7 - 3 = 4.", ""),), "4"),
    ),
    "an answer in the last words": (
        "Green is 7 and brown is 3. So the answer is 4.",
        Chain((Step("", "Green is 7 and brown is 3. So the answer is 4.", ""),), "4"),
    ),
    "Windows line ends": (EXACT.replace("\n", "\r\n"), CHAIN),
}
