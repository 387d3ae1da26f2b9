/** The native library is embedded as a file: the import is its path. */
declare module "*.so" {
  const path: string;
  export default path;
}
