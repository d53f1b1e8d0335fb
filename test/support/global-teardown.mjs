export default async () => {
  await globalThis.sharedPostgres?.stop();
};
