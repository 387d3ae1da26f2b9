import { expect, test } from "bun:test";
import { type Answer, AnswerTurns } from "../../../src/sys/answer-turns.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Answers that note what was sent. */
function noting(): { turns: AnswerTurns; sent: string[]; answer: (name: string) => Answer } {
  const sent: string[] = [];
  const turns = new AnswerTurns((answer, error) => {
    answer.destroy();
    sent.push(String(error));
  });
  const answer = (name: string): Answer => ({
    end: (body) => {
      if (name === "broken") throw new Error("broken");
      sent.push(`${name}=${String(body)}`);
    },
    destroy: () => void sent.push(`${name} destroyed`),
  });
  return { turns, sent, answer };
}

test("an answer that is alone in its turn is sent at once, and so is the first one of many", async () => {
  const { turns, sent, answer } = noting();
  for (const name of ["a", "b", "c"]) {
    const over = turns.end(answer(name), "body");
    expect(sent.at(-1)).toBe(`${name}=body`);
    await over;
    await turn();
  }
  await Promise.all(["d", "e", "f"].map((name) => turns.end(answer(name))));
  expect(sent.length).toBe(6);
});

test("where several come in a turn they are sent at its end, in their order, and waited for until then", async () => {
  const { turns, sent, answer } = noting();
  await Promise.all([turns.end(answer("x")), turns.end(answer("y"))]);
  await turn();
  sent.length = 0;
  const over: string[] = [];
  const all = ["a", "b", "c"].map(async (name, i) => {
    await turns.end(answer(name), i === 1 ? undefined : name);
    over.push(`${name} after ${sent.length}`);
  });
  await Promise.resolve();
  expect([sent, over]).toEqual([[], []]);
  await Promise.all(all);
  expect(sent).toEqual(["a=a", "b=undefined", "c=c"]);
  expect(over).toEqual(["a after 3", "b after 3", "c after 3"]);
  await turn();
  sent.length = 0;
  const lone = turns.end(answer("lone"));
  expect(sent).toEqual([]); // the turn before had three
  await lone;
  await turn();
  await turns.end(answer("lone again"));
  expect(sent).toEqual(["lone=undefined", "lone again=undefined"]);
});

test("one that cannot be sent does not keep the others", async () => {
  const { turns, sent, answer } = noting();
  await Promise.all([turns.end(answer("x")), turns.end(answer("y"))]);
  await turn();
  sent.length = 0;
  await Promise.all(["a", "broken", "c"].map((name) => turns.end(answer(name))));
  expect(sent).toEqual(["a=undefined", "broken destroyed", "Error: broken", "c=undefined"]);
});
