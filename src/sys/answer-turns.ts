/**
 * AnswerTurns: answers that are ready in one turn of the event loop are sent together at its end. To send wakes the client if it sleeps, which
 * costs as much as to make a small answer; with the answers of a turn it is awake after the first. Where requests come one by one each is
 * answered at once.
 */
export interface Answer {
  end(body?: Uint8Array | string): void;
  destroy(): void;
}

const SENT = Promise.resolve();

export class AnswerTurns {
  private readonly answers: Answer[] = [];
  private readonly bodies: (Uint8Array | string | undefined)[] = [];
  /** Answers of this turn, and of the last one that had any. */
  private count = 0;
  private lastCount = 0;
  private sent: PromiseWithResolvers<void> | null = null;

  /** `broken`: an answer could not be sent with the others. */
  constructor(private readonly broken: (answer: Answer, error: unknown) => void) {}

  /** Ends the answer with what is left of its body, now or at the end of the turn, and resolves then. The body is not to change before. */
  end(answer: Answer, body?: Uint8Array | string): Promise<void> {
    this.count++;
    if (this.count === 1) setImmediate(this.over);
    if (this.lastCount < 2) {
      answer.end(body);
      return SENT;
    }
    this.answers.push(answer);
    this.bodies.push(body);
    this.sent ??= Promise.withResolvers();
    return this.sent.promise;
  }

  private readonly over = (): void => {
    this.lastCount = this.count;
    this.count = 0;
    const { sent } = this;
    this.sent = null;
    for (let i = 0; i < this.answers.length; i++) {
      const answer = this.answers[i] as Answer;
      try {
        answer.end(this.bodies[i]);
      } catch (error) {
        this.broken(answer, error);
      }
    }
    this.answers.length = 0;
    this.bodies.length = 0;
    sent?.resolve();
  };
}
