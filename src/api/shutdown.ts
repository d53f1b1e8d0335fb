/** Whether this process is stopping: then it is not ready, and takes no new commands. */
export class Shutdown {
  private signalled = false;

  get begun(): boolean {
    return this.signalled;
  }

  begin(): void {
    this.signalled = true;
  }
}
