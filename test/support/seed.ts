/** Random tests begin with XCR_FUZZ_SEED: that of a failure, to bring it back, or any other. Loaded only if it is set. */
import * as fc from 'fast-check'

fc.configureGlobal({ seed: Number(process.env.XCR_FUZZ_SEED) })
