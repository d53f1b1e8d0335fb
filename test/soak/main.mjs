/** `npm run soak`: the sources run as they are, through the loader of the tests. */
import '../support/register-typescript.mjs';

await import('./program.ts');
